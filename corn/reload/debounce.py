"""How long to wait for more after the first change: an editor's save is passed on at once, a checkout as one. Pure.

Times are monotonic seconds. The watcher's source has already waited for a moment without changes before it tells of
any, so a few files need no further patience. Patience ends when nothing has come for as long as the kind of change
asks, or when it was as long as may be.
"""

from __future__ import annotations

from dataclasses import dataclass, field

FEW = 8
_GONE = 0.05  # a file that is gone may be on its way back: a rename in two steps
_MANY = 0.06
_PACKAGES = 0.8  # an installer takes its time between two files
_MOST, _MOST_PACKAGES, _MOST_CHECKOUT = 1.0, 20.0, 10.0
_CHECKOUT = 0.02


@dataclass(slots=True)
class Batch:
    """Changes that are to be passed on together."""

    changed: dict[str, float] = field(default_factory=dict)  # path -> when it was saved (time.time())
    gone: set[str] = field(default_factory=set)
    packages: set[str] = field(default_factory=set)  # entries of the directories where installers work
    first: float = 0.0
    last: float = 0.0

    def add(self, at: float) -> None:
        """Note that something came at this time."""
        self.last = at
        if not self.first:
            self.first = at

    @property
    def is_empty(self) -> bool:
        return not self.changed and not self.packages

    def due(self, *, checkout: bool) -> float:
        """When to pass it on; `checkout` says that git is at work in the watched tree at this moment."""
        quiet, most = 0.0, _MOST
        if self.gone:
            quiet = _GONE
        if len(self.changed) > FEW:
            quiet = _MANY
        if checkout:
            quiet, most = max(quiet, _CHECKOUT), _MOST_CHECKOUT
        if self.packages:
            quiet, most = _PACKAGES, _MOST_PACKAGES
        return min(self.last + quiet, self.first + most)
