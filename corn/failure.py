"""What is known of an application that could not be loaded or started, as data that processes pass on.

A worker makes it (corn/worker/diagnosis.py), the master shows it in the terminal, and a responder serves it to whoever
asks the application while it is broken (corn/failurepage.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

SYNTAX, IMPORT, EXCEPTION, START_UP, EXIT = "syntax", "import", "exception", "start-up", "exit"


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of a traceback, with the lines around it.

    `lines` are source lines as they stand in the file, and `first` is the number of the first of them. `line` is the
    number of the line that was executed, and `start` and `end` are the columns of the expression in it, in characters
    from 0; both are None where they are not known. `own`: the file is the project's, and no library's.
    """

    file: str
    line: int
    function: str
    own: bool
    lines: tuple[str, ...] = ()
    first: int = 1
    start: int | None = None
    end: int | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """Why the application does not run.

    `kind` is "syntax", "import" (a module or the name in it was not found), "exception" (while the modules were
    imported), "start-up" (after that) or "exit" (the process ended). `message` is one line that says what failed and
    of what, `exception` the last line of the traceback, "" where there was none. `traceback` is the text of it, with
    the user's frames alone, and `frames` are the same, the innermost last. `generation` counts the versions of the code
    in this `corn dev`, and `changed` names the files whose change led to this one, relative to the working directory.
    """

    kind: str
    message: str
    exception: str = ""
    traceback: str = ""
    frames: tuple[Frame, ...] = field(default=())
    generation: int = 0
    changed: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Failure:
        """What `to_json` gave, also after it went through JSON."""
        frames = tuple(Frame(**{**each, "lines": tuple(each["lines"])}) for each in values["frames"])
        return cls(**{**values, "frames": frames, "changed": tuple(values["changed"])})
