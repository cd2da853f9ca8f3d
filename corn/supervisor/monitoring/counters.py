"""Reads what workers have counted from their cells, and keeps the sum of those that are gone."""

from __future__ import annotations

from collections.abc import Mapping

from corn.ipc.scoreboard import LATENCY_BOUNDS, Field, Scoreboard, ScoreboardEntry
from corn.supervisor.children.workers import WorkerProcess
from corn.supervisor.projections.status import Reading

_BUCKETS = len(LATENCY_BOUNDS) + 1
_DIGITS = 8


def reading_of(cell: ScoreboardEntry) -> Reading:
    """What a cell holds now."""
    words = cell.words
    first = int(Field.ANSWERS)
    rows = [words[first + digit * _BUCKETS : first + (digit + 1) * _BUCKETS].tolist() for digit in range(_DIGITS)]
    return Reading(
        beat=words[Field.HEARTBEAT_MS] / 1000,
        connections=words[Field.CONNECTIONS],
        active=words[Field.ACTIVE],
        requests=sum(map(sum, rows)),
        sent=words[Field.BYTES_SENT],
        busy=words[Field.BUSY_US] / 1_000_000,
        lag=words[Field.LAG_US] / 1_000_000,
        statuses=tuple(map(sum, rows)),
        latency=tuple(map(sum, zip(*rows, strict=True))),
    )


class WorkerCounters:
    """The cells of the workers there are, and the sum of what the others have counted."""

    def __init__(self, slots: Scoreboard) -> None:
        self._slots = slots
        self.gone = Reading()

    def now(self, workers: Mapping[int, WorkerProcess]) -> dict[int, Reading]:
        """A reading for each worker, by its number."""
        return {number: reading_of(self._slots.cell(handle.cell)) for number, handle in workers.items()}

    def leave(self, cell: ScoreboardEntry) -> None:
        """Keep the counts of a worker that is gone, and clear its cell."""
        last = reading_of(cell)
        kept = Reading(0.0, 0, 0, last.requests, last.sent, last.busy, 0.0, last.statuses, last.latency)
        self.gone = self.gone.plus(kept)
        cell.clear()
