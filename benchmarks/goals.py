"""Performance goals of corn: figures that a benchmark run meets or does not meet.

Most goals are ratios to a peer. `against` is a server; BEST is the peer with the best figure in the case, and None
compares corn's own figure. The regression check uses the goals against the bare protocol: both sides run the same
parser and event loop, so only changes of corn affect the ratio.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from benchmarks.cases import BUSIEST, CONNECTION, P50, P99, P999, PER_CPU, PSS, RATE
from benchmarks.servers import BARE, REFERENCE
from benchmarks.summary import Results

OURS = "corn"
BEST = "the best peer"

_AS_GOOD = 1.05  # times the best peer's p99; closer than that, two runs of one server are not either


@dataclass(frozen=True, kw_only=True)
class Goal:
    """One goal: a lower or an upper bound."""

    case: str
    measure: str = PER_CPU
    against: str | None = REFERENCE
    at_least: float | None = None
    at_most: float | None = None
    difference: bool = False

    def reached(self, results: Results) -> float | None:
        """Corn's figure or ratio in a run; None if the run lacks it."""
        if self.against is None:
            return results.value(self.case, OURS, self.measure)
        against = _best_peer(results, self.case, self.measure) if self.against == BEST else self.against
        if against is None:
            return None
        if self.difference:
            return _difference(results, self.case, self.measure, against)
        return results.ratio(self.case, OURS, self.measure, against)

    def is_met(self, reached: float) -> bool:
        return (self.at_least is None or reached >= self.at_least) and (self.at_most is None or reached <= self.at_most)

    def limit(self) -> str:
        """The bound as text."""
        bound = f">= {self.at_least:g}" if self.at_least is not None else f"<= {self.at_most:g}"
        if self.against is None:
            return bound
        return f"{bound} above {self.against}" if self.difference else f"{bound} x {self.against}"


def _difference(results: Results, case: str, measure: str, against: str) -> float | None:
    ours, theirs = results.value(case, OURS, measure), results.value(case, against, measure)
    return None if ours is None or theirs is None else ours - theirs


def _best_peer(results: Results, case: str, measure: str) -> str | None:
    """The peer with the lowest figure, of a measure that is better when lower."""
    known = {name: results.value(case, name, measure) for name in results.servers() if name not in (OURS, BARE)}
    figures = {name: figure for name, figure in known.items() if figure is not None}
    return min(figures, key=lambda name: figures[name]) if figures else None


def _goals() -> Iterable[Goal]:
    over_uvicorn = {"browser": 1.6, "plain": 1.7, "headers": 1.4, "echo": 1.4, "chunks": 1.4, "10k": 1.35, "1m": 1.0}
    over_uvicorn |= {"fastapi": 1.4, "proxied": 1.3, "close": 1.7, "plain-log": 2.2, "fastapi-log": 1.3}
    for case, least in over_uvicorn.items():
        yield Goal(case=case, at_least=least)
    yield Goal(case="browser", against="granian", at_least=1.1)
    yield Goal(case="http2", against="granian", at_least=0.9)
    yield Goal(case="wsgi", against="granian", at_least=0.75)
    for measure in (P50, P99, P999):
        yield Goal(case="fixed-rate", measure=measure, against=BEST, at_most=_AS_GOOD)
    yield Goal(case="websocket", at_least=1.5)
    for peer in ("gunicorn", "hypercorn"):  # which are built on h2; granian's HTTP/2 is hyper's
        yield Goal(case="http2", against=peer, at_least=1.5)
    yield Goal(case="plain", against=BARE, at_least=0.7)
    loads = (*over_uvicorn, "sleep", "plain-default", "fastapi-default")
    for case in loads:
        yield Goal(case=case, against="granian", at_least=1.0)
        yield Goal(case=case, against="gunicorn", at_least=1.0)
    for case in loads:
        yield Goal(case=case, measure=P99, against=BEST, at_most=_AS_GOOD)
    for case, least in {"wsgi": 4.0, "flask": 1.5}.items():
        yield Goal(case=case, against="gunicorn", at_least=least)
    for case in ("close", "close-4"):
        yield Goal(case=case, measure=RATE, at_least=0.9)
    yield Goal(case="idle", measure=PSS, at_most=12, difference=True)
    yield Goal(case="idle-fastapi", measure=PSS, at_most=10, difference=True)
    yield Goal(case="idle-4", measure=PSS, at_most=0.5)
    yield Goal(case="idle-fastapi-4", measure=PSS, at_most=0.6)
    yield Goal(case="connections", measure=CONNECTION, against=None, at_most=6)
    yield Goal(case="balance", measure=BUSIEST, against=None, at_most=1.3)


GOALS = tuple(_goals())


def regressions(results: Results) -> list[Goal]:
    """Goals against the bare protocol that this run does not meet."""
    known = [(goal, goal.reached(results)) for goal in GOALS if goal.against == BARE]
    return [goal for goal, reached in known if reached is not None and not goal.is_met(reached)]
