"""From an exception of the application's to a `Failure`: the user's frames, each with its lines of source."""

from __future__ import annotations

import linecache
import traceback
from pathlib import Path

from corn.failure import EXCEPTION, EXIT, IMPORT, SYNTAX, Failure, Frame
from corn.libraries import is_library_file

_CORN = str(Path(__file__).resolve().parent.parent)
_MACHINERY = ("<frozen importlib", "importlib/__init__.py", "importlib/_bootstrap")
_AROUND = 4  # lines shown before and after


def user_traceback(error: BaseException) -> str:
    """The traceback as the user needs it: without the frames of corn and of the import machinery."""
    shown = traceback.TracebackException.from_exception(error)
    _strip(shown)
    return "".join(shown.format()).rstrip()


def diagnose(message: str, error: BaseException, kind: str = EXCEPTION) -> Failure:
    """What is known of `error`; `kind` is taken where the error itself does not say more."""
    shown = traceback.TracebackException.from_exception(error)
    _strip(shown)
    frames = [_frame(each) for each in shown.stack if not each.filename.startswith("<")]
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        frames.append(_syntax_frame(error))
    exception = "".join(traceback.format_exception_only(type(error), error)).strip().splitlines()[-1]
    text = "".join(shown.format()).rstrip()
    return Failure(_kind(error, kind), message, exception, text, tuple(frames))


def _kind(error: BaseException, kind: str) -> str:
    if isinstance(error, SyntaxError):
        return SYNTAX
    if isinstance(error, SystemExit):
        return EXIT
    return IMPORT if isinstance(error, ImportError) and kind == EXCEPTION else kind


def _strip(shown: traceback.TracebackException) -> None:
    kept = [frame for frame in shown.stack if not _is_ours(frame.filename)]
    shown.stack = traceback.StackSummary.from_list(kept)
    for chained in (shown.__cause__, shown.__context__):
        if chained is not None:
            _strip(chained)


def _is_ours(filename: str) -> bool:
    return filename.startswith(_CORN) or any(part in filename for part in _MACHINERY)


def _frame(summary: traceback.FrameSummary) -> Frame:
    line = summary.lineno or 1
    own = not is_library_file(summary.filename)
    lines, first = _around(summary.filename, line)
    start, end = _columns(summary, lines, first)
    return Frame(summary.filename, line, summary.name, own, lines, first, start, end)


def _columns(summary: traceback.FrameSummary, lines: tuple[str, ...], first: int) -> tuple[int | None, int | None]:
    """The columns in characters; the interpreter counts bytes (3.11 and later), and says none before."""
    start, end = getattr(summary, "colno", None), getattr(summary, "end_colno", None)
    here = (summary.lineno or 1) - first
    if start is None or not 0 <= here < len(lines):
        return None, None
    text = lines[here].encode()
    if end is None or getattr(summary, "end_lineno", None) != summary.lineno:
        end = len(text)
    return len(text[:start].decode("utf-8", "replace")), len(text[:end].decode("utf-8", "replace"))


def _syntax_frame(error: SyntaxError) -> Frame:
    filename, line = error.filename or "", error.lineno or 1
    lines, first = _around(filename, line)
    start = error.offset - 1 if error.offset else None
    ends_here = getattr(error, "end_lineno", None) in (None, error.lineno)
    end = (getattr(error, "end_offset", None) or 0) - 1 if ends_here else -1
    if start is not None and end <= start:
        end = start + 1
    own = not is_library_file(filename)
    return Frame(filename, line, "", own, lines, first, start, end if start is not None else None)


def _around(filename: str, line: int) -> tuple[tuple[str, ...], int]:
    linecache.checkcache(filename)
    lines = linecache.getlines(filename)
    first = max(1, line - _AROUND)
    return tuple(each.rstrip("\n") for each in lines[first - 1 : line + _AROUND]), first
