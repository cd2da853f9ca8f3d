"""Prometheus metrics from the status: one scrape covers all workers.

Counters sum up all live and exited workers since the master started, so they never decrease when a worker is replaced,
nor over a reload. An upgrade (USR2) is a new master, whose counters begin at 0; Prometheus handles that as a restart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import accumulate
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector, CollectorRegistry
from prometheus_client.samples import Exemplar

_PHASES = ("starting", "serving", "reloading", "upgrading", "degraded", "stopping")
_STATES = ("spawning", "booting", "ready", "stuck", "draining", "aborting", "killing")
_CAUSES = ("boot", "command", "crash", "lifetime", "memory", "requests", "signal", "stuck")
_OUTCOMES = ("done", "refused", "rolled back")
_CLASSES = (1, 2, 3, 4, 5)

Status = dict[str, Any]


def exposition(status: Status, accept: str) -> tuple[bytes, str]:
    """The text of all metrics in the format that an Accept field selects, and its content type."""
    encode, kind = choose_encoder(accept)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_StatusCollector(status))
    return encode(registry), kind


class _StatusCollector(Collector):
    def __init__(self, status: Status) -> None:
        self._status = status

    def collect(self) -> Iterator[Metric]:
        return metrics(self._status)


def metrics(status: Status) -> Iterator[Metric]:
    """All metrics."""
    yield from _service_metrics(status)
    yield from _request_metrics(status)
    yield from _worker_metrics(status)


def _service_metrics(status: Status) -> Iterator[Metric]:
    yield _gauge(
        "corn_info", "Version and application of the service.", {"version": status["version"], "app": status["app"]}, 1
    )
    yield _gauge("corn_uptime_seconds", "Time since the master started.", {}, status["uptime"])
    phase = GaugeMetricFamily("corn_phase", "1 for the current phase of the service.", labels=["phase"])
    for each in _PHASES:
        phase.add_metric([each], int(status["phase"] == each))
    yield phase
    yield _gauge("corn_generation", "Generation that serves, 0 if none.", {}, status["generation"] or 0)
    yield _counter("corn_reloads", "Reloads by result.", "result", _OUTCOMES, status["reloads"])
    yield _counter(
        "corn_worker_restarts", "Unplanned restarts of workers, by reason.", "reason", _CAUSES, status["restarts"]
    )
    last = next(iter(status["recent_reloads"][-1:]), None)
    failed = last is not None and last["outcome"] != "done" and last["error"]
    yield _gauge("corn_last_reload_successful", "0 if the last reload was refused or rolled back.", {}, int(not failed))
    yield _gauge("corn_workers_target", "Target number of workers.", {}, status["target"])
    yield _gauge("corn_workers_ready", "Slots with a ready worker.", {}, status["ready"])
    states = Counter(each["stage"] for each in status["workers"])
    workers = GaugeMetricFamily("corn_workers", "Worker processes by state.", labels=["state"])
    for state in _STATES:
        workers.add_metric([state], states[state])
    yield workers


def _request_metrics(status: Status) -> Iterator[Metric]:
    counted = status["counted"]
    requests = CounterMetricFamily("corn_requests", "Finished requests by status class.", labels=["class"])
    for digit in _CLASSES:
        requests.add_metric([f"{digit}xx"], counted["statuses"][digit])
    requests.add_metric(["other"], sum(counted["statuses"]) - sum(counted["statuses"][1:6]))
    yield requests
    yield HistogramMetricFamily(
        "corn_request_duration_seconds",
        "Request duration, from the request head to the end of the response.",
        buckets=_buckets(status),
        sum_value=counted["busy"],
    )
    sent = CounterMetricFamily("corn_response_body_bytes", "Bytes of response bodies sent.")
    sent.add_metric([], counted["sent"])
    yield sent
    yield _gauge("corn_requests_in_flight", "In-flight requests.", {}, counted["active"])
    yield _gauge("corn_connections", "Open connections.", {}, counted["connections"])


def _buckets(status: Status) -> list[tuple[str, float] | tuple[str, float, Exemplar]]:
    """Bounds and cumulative counts, with an exemplar where there is one; only OpenMetrics shows it."""
    counted, bounds = status["counted"], [*map(str, status["latency_bounds"]), "+Inf"]
    exemplars = {
        each["bucket"]: Exemplar(
            {"trace_id": each["trace_id"], "span_id": each["span_id"]}, each["seconds"], each["at"]
        )
        for each in counted["exemplars"]
    }
    found: list[tuple[str, float] | tuple[str, float, Exemplar]] = []
    for number, (bound, count) in enumerate(zip(bounds, accumulate(counted["latency"]), strict=True)):
        found.append((bound, count, exemplars[number]) if number in exemplars else (bound, count))
    return found


def _worker_metrics(status: Status) -> Iterator[Metric]:
    lag = GaugeMetricFamily("corn_loop_lag_seconds", "Delay of the event loop's last tick.", labels=["worker"])
    silent = GaugeMetricFamily(
        "corn_loop_silent_seconds", "Time since the last heartbeat of the event loop.", labels=["worker"]
    )
    busy = GaugeMetricFamily(
        "corn_worker_busy_ratio",
        "Share of the last half second that a worker used the CPU, or that its event loop was late by.",
        labels=["worker"],
    )
    cpu = CounterMetricFamily("corn_worker_cpu_seconds", "CPU time of the worker in a slot.", labels=["worker"])
    seen = set()
    for worker in status["workers"]:  # of a slot's workers, the one that serves comes first
        if worker["slot"] not in seen:
            seen.add(worker["slot"])
            lag.add_metric([str(worker["slot"])], worker["counted"]["lag"])
            silent.add_metric([str(worker["slot"])], worker["silent"])
            busy.add_metric([str(worker["slot"])], worker["busy"])
            if worker.get("cpu") is not None:
                cpu.add_metric([str(worker["slot"])], worker["cpu"])
    yield lag
    yield silent
    yield busy
    yield cpu
    memory = GaugeMetricFamily("corn_memory_bytes", "Memory (PSS) by kind of process.", labels=["process"])
    for kind, processes in (("master", [status]), ("template", status["templates"]), ("worker", status["workers"])):
        sizes = [each["pss"] for each in processes if each["pss"] is not None]
        if sizes or not processes:
            memory.add_metric([kind], sum(sizes))
    yield memory


def _gauge(name: str, text: str, labels: dict[str, str], value: float) -> Metric:
    found = GaugeMetricFamily(name, text, labels=list(labels))
    found.add_metric(list(labels.values()), value)
    return found


def _counter(name: str, text: str, label: str, known: tuple[str, ...], counts: dict[str, int]) -> Metric:
    """A counter with all its label values from the start, so that the first increase is seen as one."""
    found = CounterMetricFamily(name, text, labels=[label])
    for each in (*known, *(other for other in counts if other not in known)):
        found.add_metric([each.replace(" ", "_")], counts.get(each, 0))
    return found
