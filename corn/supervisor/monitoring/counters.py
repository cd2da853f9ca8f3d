"""Counters of workers: read from their scoreboard cells, and summed over the workers that have exited."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from corn.ipc.scoreboard import EXEMPLAR_WORDS, LATENCY_BOUNDS, Field, Scoreboard, ScoreboardEntry
from corn.supervisor.children.workers import WorkerProcess
from corn.supervisor.projections.status import Exemplar, Reading

_BUCKETS = len(LATENCY_BOUNDS) + 1
_DIGITS = 8


def reading_of(cell: ScoreboardEntry) -> Reading:
    """Current reading of a cell."""
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
        load=words[Field.LOAD_PERMILLE] / 1000,
        statuses=tuple(map(sum, rows)),
        latency=tuple(map(sum, zip(*rows, strict=True))),
        exemplars=tuple(_exemplars(words)),
    )


def _exemplars(words: memoryview) -> Iterator[Exemplar]:
    """The exemplars of a cell, without one that is being written."""
    for bucket in range(_BUCKETS):
        first = Field.EXEMPLARS + bucket * EXEMPLAR_WORDS
        if words[first]:
            before, high, low, span, took, at = words[first : first + EXEMPLAR_WORDS].tolist()
            if before % 2 == 0 and words[first] == before:
                yield Exemplar(bucket, f"{high:016x}{low:016x}", f"{span:016x}", took / 1_000_000, at / 1000)


class WorkerCounters:
    """Cells of the live workers, and the sum of the counts of exited ones."""

    def __init__(self, slots: Scoreboard) -> None:
        self._slots = slots
        self.exited = Reading()

    def now(self, workers: Mapping[int, WorkerProcess]) -> dict[int, Reading]:
        """A reading for each worker, by its number."""
        return {number: reading_of(self._slots.cell(handle.cell)) for number, handle in workers.items()}

    def add_exited(self, cell: ScoreboardEntry) -> None:
        """Add the counts of an exited worker to the sum, and clear its cell."""
        last = reading_of(cell)
        kept = replace(last, beat=0.0, connections=0, active=0, lag=0.0, load=0.0)
        self.exited = self.exited.plus(kept)
        cell.clear()
