"""Plain-text report of a failure: the user's own frames, the code with a caret, libraries' frames in one line. Pure.

main.py:12 in load
   10 | def load(path):
   11 |     with open(path) as file:
 > 12 |         return json.laods(file.read())
      |                ^^^^^^^^^^
AttributeError: module 'json' has no attribute 'laods'
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from itertools import groupby

from corn.diagnosis.failure import CAUSE, HANDLED, MEMBER, Failure, Frame, Raised

_CONTEXT_LINES = 2  # lines of code above and below the marked one, of the frame to look at first
_MAX_OWN = 4
LED_TO = {CAUSE: "which led to:", HANDLED: "and while that was handled:", MEMBER: "which is one of:"}
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_BOLD, _RED, _CYAN, _DIM, _RESET = "\x1b[1m", "\x1b[31m", "\x1b[36m", "\x1b[2m", "\x1b[0m"


def text(failure: Failure, *, color: bool, directory: str = "") -> str:
    """The failure for a terminal or a log. Files below `directory` are named relative to it."""
    heading = _Text(color, directory, failure.place).heading(failure)
    return "\n".join([*heading, *_lines(failure, color, directory)])


def frames(failure: Failure, *, color: bool, directory: str = "") -> str:
    """The text without its first lines, for a caller that reports the failure itself."""
    return "\n".join(_lines(failure, color, directory))


def _lines(failure: Failure, color: bool, directory: str) -> list[str]:
    shown = _Text(color, directory, failure.place)
    lines: list[str] = []
    for raised in reversed(failure.raised):
        lines += shown.raised(raised)
    if failure.detail:
        lines += [printable(line) for line in failure.detail.splitlines()]
    return lines


def relative(file: str, directory: str) -> str:
    """The file's name relative to `directory` if it is below, else the absolute name."""
    inside = directory and file.startswith(directory.rstrip(os.sep) + os.sep)
    return os.path.relpath(file, directory) if inside else file


def package_of(file: str) -> str:
    """The package that a library's file belongs to, by its path."""
    for folder in ("site-packages", "dist-packages"):
        _, found, rest = file.partition(f"{os.sep}{folder}{os.sep}")
        if found:
            return rest.partition(os.sep)[0].removesuffix(".py")
    return "Python" if not file.startswith("<") else file.strip("<>").removeprefix("frozen ")


def folded(frames: list[Frame]) -> str:
    """Line in place of the frames that are not shown."""
    packages = list(dict.fromkeys(package_of(frame.file) for frame in frames))
    count = f"{len(frames)} frames" if len(frames) > 1 else "1 frame"
    return f"{count} in {', '.join(packages)}"


def printable(line: str, mark: str = "�") -> str:
    """Text with control characters, which could move the cursor or change colours, replaced by `mark`."""
    return _CONTROL.sub(mark, line)


class _Text:
    """The parts of the text, coloured or not."""

    def __init__(self, color: bool, directory: str, place: Frame | None) -> None:
        self._color = color
        self._directory = directory
        self._place = place

    def heading(self, failure: Failure) -> Iterator[str]:
        yield self._styled(_BOLD, printable(failure.summary))
        if failure.changed:
            names = [relative(file, self._directory) for file in failure.changed]
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            yield self._styled(_DIM, printable(f"after a change of {', '.join(names[:3])}{more}"))

    def raised(self, raised: Raised) -> Iterator[str]:
        """One exception; the causes stand above what they led to, as in Python's own tracebacks."""
        own = [frame for frame in raised.frames if frame.own]
        left_out = set(own[:-_MAX_OWN])
        for is_own, group in groupby(raised.frames, key=lambda frame: frame.own):
            frames = list(group)
            if not is_own and own:
                yield self._styled(_DIM, f"  ... {folded(frames)}")
            else:
                for frame in frames[-_MAX_OWN:]:
                    if frame not in left_out:
                        yield from self._frame(frame)
        first, *rest = f"{raised.type}: {raised.message}".rstrip(": ").splitlines()
        yield self._styled(_RED + _BOLD, printable(first))
        yield from (printable(line) for line in rest)
        if raised.relation:
            yield self._styled(_DIM, LED_TO[raised.relation])

    def _frame(self, frame: Frame) -> Iterator[str]:
        where = f"{relative(frame.file, self._directory)}:{frame.line}"
        named = f" in {frame.function}" if frame.function and frame.function != "<module>" else ""
        yield f"  {self._styled(_CYAN, printable(where))}{printable(named)}"
        context = _CONTEXT_LINES if frame == self._place else 0
        width = len(str(frame.line + context))
        for number, line in enumerate(frame.code, frame.first):
            if abs(number - frame.line) <= context:
                yield from self._line(frame, number, line, width)

    def _line(self, frame: Frame, number: int, line: str, width: int) -> Iterator[str]:
        here = number == frame.line
        gutter = f"  {'>' if here else ' '} {number:>{width}} | "
        yield self._styled("" if here else _DIM, (gutter + printable(line)).rstrip())
        mark = frame.mark
        if here and mark is not None:
            yield f"    {' ' * width} | {' ' * mark[0]}{self._styled(_RED + _BOLD, '^' * (mark[1] - mark[0]))}"

    def _styled(self, style: str, words: str) -> str:
        return f"{style}{words}{_RESET}" if self._color and style and words else words
