"""Tracebacks as the user needs them: without the frames of corn and of the import machinery."""

from __future__ import annotations

import traceback
from pathlib import Path

_CORN = str(Path(__file__).resolve().parent.parent)
_MACHINERY = ("<frozen importlib", "importlib/__init__.py", "importlib/_bootstrap")


def user_traceback(error: BaseException) -> str:
    """The traceback as the user needs it: without the frames of corn and of the import machinery."""
    shown = traceback.TracebackException.from_exception(error)
    _strip(shown)
    return "".join(shown.format()).rstrip()


def _strip(shown: traceback.TracebackException) -> None:
    kept = [frame for frame in shown.stack if not _is_ours(frame.filename)]
    shown.stack = traceback.StackSummary.from_list(kept)
    for chained in (shown.__cause__, shown.__context__):
        if chained is not None:
            _strip(chained)


def _is_ours(filename: str) -> bool:
    return filename.startswith(_CORN) or any(part in filename for part in _MACHINERY)
