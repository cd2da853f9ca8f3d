"""Medians of the runs. A ratio is computed within a round, and the median is that of the ratios of all rounds.

The figures of a run with errors are stored, but not part of a median; the summary reports the number of such runs.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Run:
    """One server in one round of one case."""

    case: str
    server: str
    round: int
    figures: dict[str, float] = field(default_factory=dict)
    faults: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Run:
        return cls(**values | {"faults": tuple(values["faults"])})


class Results:
    """All runs, with the statistics for tables and goals."""

    def __init__(self, runs: Iterable[Run] = ()) -> None:
        self.runs = list(runs)

    def add(self, run: Run) -> None:
        self.runs.append(run)

    def cases(self) -> list[str]:
        """In the order in which they were run."""
        return list(dict.fromkeys(run.case for run in self.runs))

    def servers(self) -> list[str]:
        """In the order in which they were run."""
        return list(dict.fromkeys(run.server for run in self.runs))

    def value(self, case: str, server: str, measure: str) -> float | None:
        """Median over the rounds; None if all rounds had errors."""
        return _median(self._rounds(case, server, measure).values())

    def ratio(self, case: str, server: str, measure: str, to: str) -> float | None:
        """Median of the ratios to the server `to`; None if no round is without errors for both."""
        ours, theirs = self._rounds(case, server, measure), self._rounds(case, to, measure)
        return _median(ours[each] / theirs[each] for each in ours.keys() & theirs.keys() if theirs[each])

    def spread(self, case: str, server: str, measure: str, to: str) -> tuple[float, float] | None:
        """Lowest and highest ratio of the rounds."""
        ours, theirs = self._rounds(case, server, measure), self._rounds(case, to, measure)
        ratios = [ours[each] / theirs[each] for each in ours.keys() & theirs.keys() if theirs[each]]
        return (min(ratios), max(ratios)) if ratios else None

    def faulty(self, case: str, server: str) -> int:
        """Number of runs with errors."""
        return sum(1 for run in self._of(case, server) if run.faults)

    def ran(self, case: str, server: str) -> int:
        """Number of runs, including those with errors."""
        return len(self._of(case, server))

    def _of(self, case: str, server: str) -> list[Run]:
        return [run for run in self.runs if run.case == case and run.server == server]

    def _rounds(self, case: str, server: str, measure: str) -> dict[int, float]:
        """Figures of the rounds without errors."""
        runs = self._of(case, server)
        return {run.round: run.figures[measure] for run in runs if not run.faults and measure in run.figures}


def _median(figures: Iterable[float]) -> float | None:
    known = list(figures)
    return statistics.median(known) if known else None
