"""Debouncing of changes: a single save is reported at once, a checkout or a series of saves as one change. Pure.

Times are monotonic seconds. The notifier has already waited for a moment without changes before it reports any, so a
few files need no further delay. A delay ends when no change has arrived for the time that its kind requires, or at its
upper bound.

    batch    changes that are reported together
    pace     history of batches: a change during a reload joins the next batch, and so do changes that follow closely

A single save is never delayed. A series is detected by a change during a reload, or by the third batch within a moment.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf

FEW = 8
_DELETED = 0.05  # a deleted file may reappear at once, after a rename in two steps
_MANY = 0.06
_PACKAGES = 0.8  # an installer pauses between two files
_MAX, _MAX_PACKAGES, _MAX_CHECKOUT = 1.0, 20.0, 10.0
_CHECKOUT_QUIET = 0.02
_SERIES, _MAX_SERIES = 0.15, 1.0
_MOMENT = 0.4  # time in which a third batch makes a series, and after which a change no longer belongs to it
_MAX_RELOAD = 1.0  # a reload that takes longer does not delay the next one, because it may hang


@dataclass(slots=True)
class Batch:
    """Changes to be reported together."""

    changed: dict[str, float] = field(default_factory=dict)  # path -> when it was saved (time.time())
    deleted: set[str] = field(default_factory=set)
    packages: set[str] = field(default_factory=set)  # entries of the directories where installers work
    first: float = 0.0
    last: float = 0.0

    def add(self, at: float) -> None:
        """Record a change at this time."""
        self.last = at
        if not self.first:
            self.first = at

    @property
    def is_empty(self) -> bool:
        return not self.changed and not self.packages

    def due(self, *, checkout: bool) -> float:
        """Time to pass the batch on; `checkout` says that git is at work in the watched tree at this moment."""
        quiet, most = 0.0, _MAX
        if self.deleted:
            quiet = _DELETED
        if len(self.changed) > FEW:
            quiet = _MANY
        if checkout:
            quiet, most = max(quiet, _CHECKOUT_QUIET), _MAX_CHECKOUT
        if self.packages:
            quiet, most = _PACKAGES, _MAX_PACKAGES
        return min(self.last + quiet, self.first + most)


@dataclass(slots=True)
class Pace:
    """Pace of reloads: detects a series of batches that follow each other closely."""

    _before: float = -inf  # when the last batch but one was passed on
    _began: float = -inf  # when the last one was, which began a reload
    _ended: float = -inf  # when that reload ended, inf while it is under way
    _in_series: bool = False  # whether the last batch belonged to a series

    def due(self, batch: Batch, *, checkout: bool) -> float:
        """Time to pass a batch on."""
        due = batch.due(checkout=checkout)
        if self._belongs_to_series(batch):
            due = max(due, min(batch.last + _SERIES, batch.first + _MAX_SERIES))
        return max(due, self._began + _MAX_RELOAD) if self._ended == inf else due

    def passed_on(self, batch: Batch, at: float) -> None:
        """Record that a batch was passed on, which begins a reload."""
        self._in_series = self._belongs_to_series(batch)
        self._before, self._began, self._ended = self._began, at, inf

    def reloaded(self, at: float) -> None:
        """Record that the reload has ended, successful or not."""
        self._ended = min(self._ended, at)

    def _belongs_to_series(self, batch: Batch) -> bool:
        during_reload = self._began <= batch.first <= self._ended
        follows = self._in_series and batch.first - self._began < _MOMENT
        return during_reload or follows or batch.first - self._before < _MOMENT
