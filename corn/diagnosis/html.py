"""HTML page of a failure: one self-contained document, light or dark by the browser's preference.

All text from the failure is escaped, because a message may contain data from a client. The page has no console, which
would let anyone who can reach the machine execute code, and no values of variables.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from html import escape
from itertools import groupby
from pathlib import Path

from corn.diagnosis import text as terminal
from corn.diagnosis.failure import (
    CAUSE,
    EXCEPTION,
    EXIT,
    HANDLED,
    IMPORT,
    MEMBER,
    STARTUP,
    SYNTAX,
    Failure,
    Frame,
    Raised,
)

_KINDS = {
    SYNTAX: "Syntax error",
    IMPORT: "The import failed",
    EXCEPTION: "Exception",
    STARTUP: "The start-up failed",
    EXIT: "The application exited",
}
_RELATIONS = {CAUSE: "It was caused by", HANDLED: "It was raised while this was handled", MEMBER: "In the group"}


# The script of live reload finds the page by this element, and changes its text.
_NOTICE = '<span id="corn-failure" role="status">Fix the code, save it, and reload this page.</span>'


def page(failure: Failure, directory: str = "") -> str:
    """The document. Files below `directory` are named relative to it."""
    return "".join(_document(failure, directory))


def _document(failure: Failure, directory: str) -> Iterator[str]:
    title, *rest = failure.title.splitlines() or [failure.kind]
    place = failure.place
    where = f"{_relative(place, directory)}:{place.line}" if place else ""
    yield '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">'
    yield f"<title>{escape(f'{title} {where}'.strip())}</title>"
    yield f"<style>{_style()}</style></head><body><main>"
    yield f'<p class="kind">{_KINDS.get(failure.kind, "Failure")}</p><h1>{escape(title)}</h1>'
    if rest:
        yield _block("\n".join(rest))
    yield from _circumstances(failure, directory)
    if failure.detail:
        yield _block(failure.detail)
    if place is not None and sum(map(_unfolded, failure.raised)) > 1:
        yield _frame(place, directory)
    for raised in failure.raised:
        yield from _raised(raised, directory)
    yield f'<details class="text"><summary>As text</summary>{_as_text(failure, directory)}</details>'
    yield f"<footer>{_NOTICE}</footer></main></body></html>\n"


def _block(text: str) -> str:
    return f'<pre class="detail" tabindex="0" role="region" aria-label="Message">{escape(text)}</pre>'


def _circumstances(failure: Failure, directory: str) -> Iterator[str]:
    if failure.raised:
        yield f'<p class="summary">{escape(failure.summary)}</p>'
    if failure.changed:
        names = ", ".join(terminal.relative(each, directory) for each in failure.changed[:5])
        more = f" and {len(failure.changed) - 5} more" if len(failure.changed) > 5 else ""
        yield f'<p class="changed">after a change of {escape(names)}{more}</p>'


def _raised(raised: Raised, directory: str) -> Iterator[str]:
    """One exception: its message, unless it is the heading, and its frames; those of libraries are folded."""
    if raised.relation:
        yield f'<p class="relation">{_RELATIONS[raised.relation]}</p>'
        yield f"<h2>{escape(f'{raised.type}: {raised.message}'.rstrip(': '))}</h2>"
    elif len(raised.frames) > 1:
        yield "<h2>Traceback</h2>"
    has_own = any(frame.own for frame in raised.frames)
    for own, group in groupby(raised.frames, key=lambda frame: frame.own):
        frames = list(group)
        yield _frames(frames, directory) if own or not has_own else _folded(frames, directory)


def _unfolded(raised: Raised) -> int:
    """Number of frames of an exception whose code the page shows without a click."""
    return sum(frame.own for frame in raised.frames) or len(raised.frames)


def _frames(frames: Iterable[Frame], directory: str) -> str:
    return "".join(_frame(each, directory) for each in frames)


def _folded(frames: list[Frame], directory: str) -> str:
    return f"<details><summary>{escape(terminal.folded(frames))}</summary>{_frames(frames, directory)}</details>"


def _frame(frame: Frame, directory: str) -> str:
    file = escape(_relative(frame, directory))
    function = f" <span>in {escape(frame.function)}</span>" if frame.function not in ("", "<module>") else ""
    code = "".join(_line(frame, number, line) for number, line in enumerate(frame.code, frame.first))
    region = f'<pre tabindex="0" role="region" aria-label="Code of {file}, line {frame.line}">'
    shown = f"{region}<code>{code}</code></pre>" if code else ""
    return f'<div class="frame"><p class="place"><b>{file}:{frame.line}</b>{function}</p>{shown}</div>'


def _line(frame: Frame, number: int, line: str) -> str:
    if number != frame.line:
        return f'<span class="line" data-number="{number}">{escape(line) or " "}</span>'
    words = escape(line)
    if frame.mark is not None:
        start, end = frame.mark
        words = f"{escape(line[:start])}<mark>{escape(line[start:end])}</mark>{escape(line[end:])}"
    return f'<span class="line here" data-number="{number}">{words or " "}</span>'


def _relative(frame: Frame, directory: str) -> str:
    return terminal.relative(frame.file, directory)


def _text(failure: Failure, directory: str) -> str:
    return terminal.text(failure, color=False, directory=directory)


def _as_text(failure: Failure, directory: str) -> str:
    return f'<pre tabindex="0" role="region" aria-label="As text">{escape(_text(failure, directory))}</pre>'


@cache
def _style() -> str:
    return Path(__file__).with_name("html.css").read_text("utf-8")
