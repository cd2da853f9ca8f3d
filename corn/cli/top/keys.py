"""Key bindings: selection of a worker, confirmation, scrolling, and orders to the instance. Pure.

Orders that change the service need confirmation: a key is hit by accident sooner than a command is typed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

_DOWN = {"down": 1, "j": 1, "pagedown": 10, " ": 10}
_UP = {"up": 1, "k": 1, "pageup": 10}
_LEAVE = ("q", "escape")


@dataclass(frozen=True, slots=True)
class Order:
    """A request to the instance, and its question for confirmation, "" for a request that changes nothing."""

    do: str
    question: str = ""
    fields: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Interaction:
    """State of the interaction with the user.

    `selected` counts rows from 0. `said` is the last answer. `page` is a text that covers the workers, from line `top`.
    """

    selected: int = 0
    asked: Order | None = None
    said: str = ""
    page: list[str] | None = None
    top: int = 0
    is_over: bool = False

    def press(self, key: str, slots: Sequence[int]) -> Order | None:
        """Handle a key, where the rows show workers of these slots; returns an order to carry out, if any."""
        if self.asked is not None:
            order, self.asked = self.asked, None
            self.said = "" if key == "y" else "left as it is"
            return order if key == "y" else None
        if self.page is not None:
            self._scroll(key, self.page)
            return None
        self.said = ""
        if key in _LEAVE:
            self.is_over = key == "q"
        elif key in _DOWN or key in _UP:
            self.selected = _within(self.selected + _DOWN.get(key, 0) - _UP.get(key, 0), len(slots))
        else:
            return self._order(key, slots)
        return None

    def show(self, text: str) -> None:
        """Cover the workers by a text."""
        self.page, self.top, self.said = text.splitlines(), 0, ""

    def _scroll(self, key: str, page: list[str]) -> None:
        if key in _LEAVE:
            self.page = None
        self.top = _within(self.top + _DOWN.get(key, 0) - _UP.get(key, 0), len(page))

    def _order(self, key: str, slots: Sequence[int]) -> Order | None:
        """Ask for confirmation of a key's order; an order that only reads is returned at once."""
        slot = slots[_within(self.selected, len(slots))] if slots else None
        order = _for_service(key) or (_for_worker(key, slot) if slot is not None else None)
        if order is None or not order.question:
            return order
        self.asked = order
        return None


def _for_service(key: str) -> Order | None:
    return {
        "r": Order("reload", "reload the code"),
        "b": Order("rollback", "roll back to the previous generation"),
        "+": Order("scale", "serve with one worker more", {"by": 1}),
        "-": Order("scale", "serve with one worker fewer", {"by": -1}),
    }.get(key)


def _for_worker(key: str, slot: int) -> Order | None:
    return {
        "d": Order("drain", f"drain worker {slot}", {"worker": slot}),
        "x": Order("restart", f"restart worker {slot}", {"worker": slot}),
        "s": Order("stacks", "", {"worker": slot}),
    }.get(key)


def _within(index: int, count: int) -> int:
    return max(0, min(index, count - 1))
