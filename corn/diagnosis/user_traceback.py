"""Tracebacks without the frames of corn and of the import system."""

from __future__ import annotations

import os
import traceback
from pathlib import Path

CORN = str(Path(__file__).resolve().parent.parent) + os.sep
_IMPORT_SYSTEM = ("<frozen importlib", f"{os.sep}importlib{os.sep}__init__.py", f"{os.sep}importlib{os.sep}_bootstrap")


def user_traceback(error: BaseException) -> str:
    """Format a traceback, with the user's and the libraries' frames only."""
    shown = traceback.TracebackException.from_exception(error)
    _strip(shown)
    return "".join(shown.format()).rstrip()


def _strip(shown: traceback.TracebackException) -> None:
    kept = [frame for frame in shown.stack if not is_machinery(frame.filename)]
    shown.stack = traceback.StackSummary.from_list(kept)
    for chained in (shown.__cause__, shown.__context__):
        if chained is not None:
            _strip(chained)


def is_machinery(filename: str) -> bool:
    """Whether a frame is of corn or of the import system, and says nothing of the user's code."""
    return filename.startswith(CORN) or any(part in filename for part in _IMPORT_SYSTEM)
