"""View model of the screen, computed from the last samples of an instance. Pure.

Counters only grow while a worker lives, so a rate is the difference of two samples, and the quantiles of a window are
those of the difference of two histograms. A worker that has only one sample so far has no rate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from corn.cli.control.status import Refusal, is_blocked, refusal
from corn.cli.top.chart import Mark
from corn.frozen import frozen

Counted = Mapping[str, Any]

KEPT = 60  # samples
_WINDOW = 10  # samples for the quantiles and the share of errors


@frozen
class Sample:
    """The answer to `status` at the monotonic time `at`; processor seconds and bytes of memory by process id."""

    at: float
    status: Mapping[str, Any]
    cpu: Mapping[int, float]
    pss: Mapping[int, int]


@frozen
class Traffic:
    """Requests a second, now and before (oldest first), and latency in seconds; None where it is not known."""

    rate: float | None
    rates: tuple[float, ...]
    p50: float | None
    p99: float | None


@frozen
class Row:
    """One worker. `busy` is a share, `lag` in seconds, `cpu` in percent of one CPU, `pss` in bytes."""

    worker: int
    slot: int
    stage: str
    generation: int
    pid: int | None
    traffic: Traffic
    active: int
    busy: float
    lag: float
    cpu: float | None
    pss: int | None
    age: float
    restarts: int


@frozen
class View:
    """The whole service. `errors` is the share of responses with 5xx, `memory` is of all processes in bytes.

    `ages` are those of the traffic's rates, in seconds. `marks` are the recent reloads.
    """

    status: Mapping[str, Any]
    traffic: Traffic
    errors: float | None
    memory: int
    processes: int
    rows: tuple[Row, ...]
    ages: tuple[float, ...]
    marks: tuple[Mark, ...]
    refused: Refusal | None


def view_of(samples: Sequence[Sample]) -> View:
    """The view after the last of the samples, of which there is at least one, all of one master."""
    status = samples[-1].status
    bounds = status["latency_bounds"]
    whole = [(each.at, each.status["counted"]) for each in samples]
    workers = [{worker["worker"]: worker for worker in each.status["workers"]} for each in samples]
    restarts = {each["slot"]: each["restarts"] for each in status["slots"]}
    rows = []
    for worker in status["workers"]:
        number = worker["worker"]
        counts = [
            (each.at, known[number]["counted"]) for each, known in zip(samples, workers, strict=True) if number in known
        ]
        rows.append(_row(worker, _traffic(counts, bounds), samples, restarts.get(worker["slot"], 0)))
    sizes = samples[-1].pss
    return View(
        status,
        _traffic(whole, bounds),
        _errors(whole),
        sum(sizes.values()),
        len(sizes),
        tuple(rows),
        ages=tuple(samples[-1].at - each.at for each in samples[1:]),
        marks=tuple(map(_mark, status.get("recent_reloads", ()))),
        refused=refusal(dict(status)),
    )


def quantile(buckets: Sequence[int], bounds: Sequence[float], share: float) -> float | None:
    """The latency that `share` of the requests stayed below, by linear interpolation in its bucket; None for none.

    A latency beyond the last bound counts as the last bound.
    """
    wanted, below, lower = share * sum(buckets), 0, 0.0
    if not wanted:
        return None
    for count, upper in zip(buckets, bounds, strict=False):
        if count and below + count >= wanted:
            return lower + (upper - lower) * (wanted - below) / count
        below, lower = below + count, upper
    return bounds[-1]


def _traffic(counts: Sequence[tuple[float, Counted]], bounds: Sequence[float]) -> Traffic:
    rates = tuple(
        max(0, then["requests"] - before["requests"]) / (at - since) if at > since else 0.0
        for (since, before), (at, then) in pairwise(counts)
    )
    buckets = _increase(counts, "latency")
    return Traffic(rates[-1] if rates else None, rates, quantile(buckets, bounds, 0.5), quantile(buckets, bounds, 0.99))


def _errors(counts: Sequence[tuple[float, Counted]]) -> float | None:
    statuses = _increase(counts, "statuses")
    return statuses[5] / sum(statuses) if sum(statuses) else None


def _increase(counts: Sequence[tuple[float, Counted]], name: str) -> list[int]:
    """Growth of each of some counters in the window."""
    first, last = counts[-min(len(counts), _WINDOW + 1)][1][name], counts[-1][1][name]
    return [max(0, now - before) for now, before in zip(last, first, strict=True)]


def _mark(reload: Mapping[str, Any]) -> Mark:
    code = "config" if reload["generation"] is None else f"gen {reload['generation']}"
    if reload["outcome"] == "done":
        return Mark(reload["ago"], f"^{code}", is_bad=False)
    return Mark(reload["ago"], f"x{code} {reload['outcome']}", is_bad=bool(reload["error"]))


def _row(worker: Mapping[str, Any], traffic: Traffic, samples: Sequence[Sample], restarts: int) -> Row:
    counted, pid = worker["counted"], worker["pid"]
    return Row(
        worker=worker["worker"],
        slot=worker["slot"],
        stage=worker["stage"],
        generation=worker["generation"],
        pid=pid,
        traffic=traffic,
        active=counted["active"],
        busy=worker.get("busy", 0.0),
        lag=worker["silent"] if is_blocked(worker) else counted["lag"],
        cpu=_cpu(pid, samples),
        pss=samples[-1].pss.get(pid),
        age=worker["age"],
        restarts=restarts,
    )


def _cpu(pid: int | None, samples: Sequence[Sample]) -> float | None:
    if pid is None or len(samples) < 2:
        return None
    before, now = samples[-2:]
    if pid not in before.cpu or pid not in now.cpu or now.at <= before.at:
        return None
    return max(0.0, now.cpu[pid] - before.cpu[pid]) / (now.at - before.at) * 100
