"""Key bindings: selection of a worker, confirmation, scrolling, and requests to the instance. Pure.

Requests that change the service need confirmation, because a key may be pressed by accident.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

from corn.frozen import frozen

_DOWN = {"down": 1, "j": 1, "pagedown": 10, " ": 10}
_UP = {"up": 1, "k": 1, "pageup": 10}
_QUIT_KEYS = ("q", "escape")

Selectable = tuple[int, int]  # the number of a worker, which no other has, and its slot


@frozen
class Request:
    """A request to the instance, and its question for confirmation, "" for a request that changes nothing."""

    do: str
    question: str = ""
    fields: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Interaction:
    """State of the interaction with the user.

    `worker` is selected, and what comes into its `slot` when it is gone. `message` is the last answer. `page` is a text
    that covers the workers, from line `top`. `acknowledged` names the refused reload that is not shown any more.
    """

    worker: int | None = None
    slot: int = 0
    pending: Request | None = None
    message: str = ""
    page: list[str] | None = None
    top: int = 0
    acknowledged: Hashable = None
    is_over: bool = False

    def index(self, rows: Sequence[Selectable]) -> int:
        """The selected row, whatever rows have come and gone since it was selected."""
        for wanted, column in ((self.worker, 0), (self.slot, 1)):
            found = [number for number, row in enumerate(rows) if row[column] == wanted]
            if found:
                return found[0]
        return _within(self.slot, len(rows))

    def press(self, key: str, rows: Sequence[Selectable], refused: Hashable = None) -> Request | None:
        """Handle a key, where these rows and the refusal of this reload are shown; returns a request to send."""
        if self.pending is not None:
            request, self.pending = self.pending, None
            self.message = "" if key == "y" else "cancelled"
            return request if key == "y" else None
        if self.page is not None:
            self._scroll(key, self.page)
            return None
        self.message = ""
        if key in _QUIT_KEYS:
            self.is_over = key == "q"
        elif key == "a":
            self.acknowledged = refused
        elif key in _DOWN or key in _UP:
            self._select(self.index(rows) + _DOWN.get(key, 0) - _UP.get(key, 0), rows)
        else:
            return self._request(key, rows)
        return None

    def show(self, text: str) -> None:
        """Show a text instead of the workers."""
        self.page, self.top, self.message = text.splitlines(), 0, ""

    def _select(self, index: int, rows: Sequence[Selectable]) -> None:
        if rows:
            self.worker, self.slot = rows[_within(index, len(rows))]

    def _scroll(self, key: str, page: list[str]) -> None:
        if key in _QUIT_KEYS:
            self.page = None
        self.top = _within(self.top + _DOWN.get(key, 0) - _UP.get(key, 0), len(page))

    def _request(self, key: str, rows: Sequence[Selectable]) -> Request | None:
        """Ask for confirmation of a key's request; one that only reads is returned at once."""
        self._select(self.index(rows), rows)
        request = _for_service(key) or (_for_worker(key, self.slot) if rows else None)
        if request is None or not request.question:
            return request
        self.pending = request
        return None


def _for_service(key: str) -> Request | None:
    return {
        "r": Request("reload", "reload the code", {"wait": True}),
        "b": Request("rollback", "roll back to the previous generation", {"wait": True}),
        "+": Request("scale", "add a worker", {"by": 1, "wait": True}),
        "-": Request("scale", "remove a worker", {"by": -1, "wait": True}),
    }.get(key)


def _for_worker(key: str, slot: int) -> Request | None:
    return {
        "d": Request("drain", f"drain worker {slot}", {"worker": slot, "wait": True}),
        "x": Request("restart", f"restart worker {slot}", {"worker": slot, "wait": True}),
        "s": Request("stacks", "", {"worker": slot}),
    }.get(key)


def _within(index: int, count: int) -> int:
    return max(0, min(index, count - 1))
