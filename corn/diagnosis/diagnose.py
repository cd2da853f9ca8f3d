"""Failure reports from exceptions: the user's own frames, and the lines of code to show of each."""

from __future__ import annotations

import linecache
import os
import traceback
from collections.abc import Iterable, Iterator

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
from corn.diagnosis.user_traceback import CORN, is_machinery
from corn.errors import CornError
from corn.system.paths import is_library_file

_CONTEXT_OWN, _CONTEXT_LIBRARY = 5, 1  # lines before and after the marked one
_MAX_FRAMES, _MAX_RAISED = 40, 6
_MAX_LINE = 500


def diagnose(
    error: BaseException, *, starting: bool = False, changed: Iterable[str] = (), generation: int = 0
) -> Failure:
    """Describe `error`, or its cause if it is one of corn's own.

    `starting`: the application was imported, and failed to start.
    """
    cause = error.__cause__ if isinstance(error, CornError) else error
    raised = tuple(_chain(cause)) if cause is not None and not _is_bare(error, cause) else ()
    return Failure(
        _kind(cause or error, starting=starting),
        _summary(error),
        raised,
        "" if raised else error.detail if isinstance(error, CornError) else "",
        tuple(changed),
        generation,
    )


def _is_bare(error: BaseException, cause: BaseException) -> bool:
    """True if corn's own message is sufficient, because the name on the command line was not found."""
    return isinstance(error, CornError) and not error.detail and isinstance(cause, ImportError)


def _kind(error: BaseException, *, starting: bool) -> str:
    if isinstance(error, SyntaxError):
        return SYNTAX
    if isinstance(error, SystemExit):
        return EXIT
    if starting:
        return STARTUP
    return IMPORT if isinstance(error, (ImportError, CornError)) else EXCEPTION


def _summary(error: BaseException) -> str:
    """Summary of the failure, without the exception, which is shown after it."""
    if not isinstance(error, CornError):
        return "the application raised an exception"
    text = str(error)
    cause = error.__cause__
    if cause is None or not error.detail:
        return text
    return text.removesuffix(f": {traceback.format_exception_only(type(cause), cause)[-1].strip()}")


def _chain(error: BaseException) -> Iterator[Raised]:
    """The exception, then its causes and, of a group, its members; each once, up to a limit."""
    seen: set[int] = set()
    waiting: list[tuple[BaseException, str]] = [(error, "")]
    while waiting and len(seen) < _MAX_RAISED:
        each, relation = waiting.pop(0)
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield _describe(each, relation)
        waiting += [(member, MEMBER) for member in getattr(each, "exceptions", ())]
        if each.__cause__ is not None:
            waiting.append((each.__cause__, CAUSE))
        elif each.__context__ is not None and not each.__suppress_context__:
            waiting.append((each.__context__, HANDLED))


def _describe(error: BaseException, relation: str) -> Raised:
    shown = traceback.TracebackException.from_exception(error, lookup_lines=False)
    kind = type(error).__qualname__
    frames = [_frame(each) for each in _truncated(list(shown.stack)) if not is_machinery(each.filename)]
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        return Raised(kind, error.msg or "invalid syntax", (*frames, _syntax_frame(error)), relation)
    notes = [str(each) for each in getattr(error, "__notes__", ())]
    return Raised(kind, "\n".join([_message(error), *notes]).strip(), tuple(frames), relation)


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:
        return "(its message cannot be shown: __str__ failed)"


def _truncated(stack: list[traceback.FrameSummary]) -> list[traceback.FrameSummary]:
    """Both ends of a stack that is too deep to show."""
    if len(stack) <= _MAX_FRAMES:
        return stack
    return stack[: _MAX_FRAMES // 4] + stack[-_MAX_FRAMES * 3 // 4 :]


def _frame(summary: traceback.FrameSummary) -> Frame:
    line, own = summary.lineno or 1, is_own(summary.filename)
    code, first = _code(summary.filename, line, _CONTEXT_OWN if own else _CONTEXT_LIBRARY)
    marked = code[line - first] if 0 <= line - first < len(code) else ""
    start, end = _columns(summary, marked)
    return Frame(summary.filename, line, summary.name, own, code, first, start, end)


def _columns(summary: traceback.FrameSummary, marked: str) -> tuple[int, int]:
    """The columns of the expression that raised, which Python knows since 3.11 and counts in bytes of UTF-8."""
    start, end = getattr(summary, "colno", None), getattr(summary, "end_colno", None)
    if start is None or end is None:
        return -1, -1
    if getattr(summary, "end_lineno", summary.lineno) != summary.lineno:
        return _characters(marked, start), len(marked)
    return _characters(marked, start), _characters(marked, end)


def _characters(line: str, size: int) -> int:
    return len(line.encode()[:size].decode(errors="ignore"))


def _syntax_frame(error: SyntaxError) -> Frame:
    file, line = error.filename or "", error.lineno or 1
    code, first = _code(file, line, _CONTEXT_OWN)
    start = (error.offset or 0) - 1
    end = (getattr(error, "end_offset", None) or 0) - 1
    if (getattr(error, "end_lineno", None) or line) != line:
        end = len(code[line - first]) if 0 <= line - first < len(code) else -1
    return Frame(file, line, "", is_own(file), code, first, start, end)


def _code(file: str, line: int, context: int) -> tuple[tuple[str, ...], int]:
    """The lines around `line` as they are on disk, and the number of the first."""
    linecache.checkcache(file)
    lines = linecache.getlines(file)
    first = max(1, line - context)
    chosen = [each.rstrip("\r\n").expandtabs(1)[:_MAX_LINE] for each in lines[first - 1 : line + context]]
    return tuple(chosen), first


def is_own(file: str) -> bool:
    """True if a file is the user's: not in the standard library, not installed, and not a pseudo-file."""
    return not file.startswith("<") and not os.path.realpath(file).startswith(CORN) and not is_library_file(file)
