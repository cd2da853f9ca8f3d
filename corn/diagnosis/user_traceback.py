"""Tracebacks without the frames of corn and of the import system.

An exception may contain data from a client. So control characters, which a terminal would interpret, are escaped, and
the further lines of its text are indented, so that they cannot be mistaken for lines of the log.
"""

from __future__ import annotations

import os
import re
import traceback
from pathlib import Path

CORN = str(Path(__file__).resolve().parent.parent) + os.sep
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
_IMPORT_SYSTEM = ("<frozen importlib", f"{os.sep}importlib{os.sep}__init__.py", f"{os.sep}importlib{os.sep}_bootstrap")


def user_traceback(error: BaseException) -> str:
    """Format a traceback, with the user's and the libraries' frames only."""
    shown = traceback.TracebackException.from_exception(error)
    _strip(shown)
    return "".join(map(_indented, shown.format())).rstrip()


def in_one_line(text: str) -> str:
    """The text with line ends escaped too."""
    return _escaped(text).replace("\n", "\\n")


def _indented(part: str) -> str:
    """A part of a traceback: a heading, a frame, or the text of an exception."""
    if part.startswith((" ", "\n", "Traceback")):
        return _escaped(part)
    return _escaped(part.rstrip("\n")).replace("\n", "\n    ") + "\n"


def _escaped(text: str) -> str:
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text)


def _strip(shown: traceback.TracebackException) -> None:
    kept = [frame for frame in shown.stack if not is_machinery(frame.filename)]
    shown.stack = traceback.StackSummary.from_list(kept)
    for chained in (shown.__cause__, shown.__context__):
        if chained is not None:
            _strip(chained)


def is_machinery(filename: str) -> bool:
    """True if a frame is of corn or of the import system, and not informative about the user's code."""
    return filename.startswith(CORN) or any(part in filename for part in _IMPORT_SYSTEM)
