"""Failure of the user's code as plain data, which can be sent from process to process and shown anywhere.

The process in which the exception occurred (a template, a worker, the watcher) describes it by `diagnose`; after that
the exception, its objects and the files are not needed. Rejected: sending the formatted traceback. A browser needs the
code, a terminal less of it, and neither can be extracted from text reliably.

It contains only lines of source code, never values of variables, because pages are often copied into bug reports.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from corn.frozen import frozen

SYNTAX, IMPORT, EXCEPTION, STARTUP, EXIT = "syntax", "import", "exception", "startup", "exit"
CAUSE, HANDLED, MEMBER = "cause", "handled", "member"


@frozen
class Frame:
    """One place in the code. `line` counts from 1, `start` and `end` are columns from 0, -1 where they are not known.

    `own` is True for the user's code, False for that of a library. `code` has the lines around it, from number `first`
    on; it is empty if there is no source.
    """

    file: str
    line: int
    function: str
    own: bool
    code: tuple[str, ...] = ()
    first: int = 1
    start: int = -1
    end: int = -1

    @property
    def marked(self) -> str:
        """The source line of the frame, "" if it is not known."""
        at = self.line - self.first
        return self.code[at] if 0 <= at < len(self.code) else ""

    @property
    def mark(self) -> tuple[int, int] | None:
        """The columns to mark in that line, at least one wide; None if they are unknown."""
        if self.start < 0 or not self.marked:
            return None
        start = min(self.start, len(self.marked))
        end = self.end if self.end > start else start + 1
        return start, max(start + 1, min(end, len(self.marked)))


@frozen
class Raised:
    """One exception: its type and message, and the frames it passed, outermost first.

    `relation` is its relation to an exception before it in the list: "" for the first, else its CAUSE, the one being
    HANDLED when it was raised, or a MEMBER of the group.
    """

    type: str
    message: str
    frames: tuple[Frame, ...] = ()
    relation: str = ""

    @property
    def place(self) -> Frame | None:
        """The most relevant frame: the innermost of the user's own, else the innermost."""
        own = [frame for frame in self.frames if frame.own] or self.frames
        return own[-1] if own else None


@frozen
class Failure:
    """Reason why the newest code is not served. `kind` is one of the constants above.

    `summary` is one line that says what failed; `raised` are the exceptions, the last one first, then its causes. It is
    empty without an exception, as when a process is killed; then `detail` may have more. `changed` are the files whose
    change has caused it, and `generation` is the one that failed.
    """

    kind: str
    summary: str
    raised: tuple[Raised, ...] = ()
    detail: str = ""
    changed: tuple[str, ...] = ()
    generation: int = 0

    @property
    def title(self) -> str:
        """The line to read first."""
        if not self.raised:
            return self.summary
        first = self.raised[0]
        return f"{first.type}: {first.message}".rstrip(": ")

    @property
    def place(self) -> Frame | None:
        """The most relevant frame of all exceptions: that of the first with a frame of the user's own code."""
        places = [place for each in self.raised if (place := each.place) is not None]
        own = [place for place in places if place.own] or places
        return own[0] if own else None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Failure:
        """The failure from a result of `to_json` that was sent as JSON."""
        raised = tuple(_raised(each) for each in values["raised"])
        return cls(**{**values, "raised": raised, "changed": tuple(values["changed"])})


def _raised(values: dict[str, Any]) -> Raised:
    frames = tuple(Frame(**{**each, "code": tuple(each["code"])}) for each in values["frames"])
    return Raised(**{**values, "frames": frames})
