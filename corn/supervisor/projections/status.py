"""Status model of an instance, from which `corn status`, `corn top` and the metrics all read. Pure.

    facts of the start (About) + State + History + the workers' counters (Reading)  ->  Status

Times are relative, in seconds ago or from now, because readers do not share the master's clock. Memory and CPU time of
processes are not included, because reading them would delay the master. Clients read them with psutil, by the process
ids given here (see corn/system/memory.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from corn.frozen import frozen
from corn.supervisor.policy.rolling_reload import is_soaked, previous_until
from corn.supervisor.policy.state import Phase, Stage, State, TemplateStage, Worker
from corn.supervisor.projections.history import History, ReloadRecord, Restarted

_BLOCKED = 1.0  # seconds without a heartbeat, which beats twice a second


@frozen
class About:
    """Facts that are constant while a master lives; `began` is on its monotonic clock."""

    version: str
    pid: int
    app: str
    addresses: tuple[str, ...]
    began: float
    pidfile: str = ""
    config_file: str = ""
    directory: str = ""
    started_in: str = ""


@frozen
class Exemplar:
    """Traced request of a bucket of the latency histogram; `at` is in seconds since the epoch."""

    bucket: int
    trace_id: str
    span_id: str
    seconds: float
    at: float


@frozen
class Reading:
    """Counters of a worker since it started (corn/ipc/scoreboard.py). Seconds, bytes and counts.

    `beat` is the time of its heartbeat on the monotonic clock, 0 for none yet. `statuses` counts responses by the first
    digit, `latency` requests by the bucket of LATENCY_BOUNDS. `busy` is the sum of the times of all requests, `load`
    the share of the time between the last two heartbeats in which the event loop worked or was blocked.
    """

    beat: float = 0.0
    connections: int = 0
    active: int = 0
    requests: int = 0
    sent: int = 0
    busy: float = 0.0
    lag: float = 0.0
    load: float = 0.0
    statuses: tuple[int, ...] = (0,) * 8
    latency: tuple[int, ...] = (0,) * 16
    exemplars: tuple[Exemplar, ...] = ()

    def plus(self, other: Reading) -> Reading:
        """The sum of both readings."""
        return Reading(
            max(self.beat, other.beat),
            self.connections + other.connections,
            self.active + other.active,
            self.requests + other.requests,
            self.sent + other.sent,
            self.busy + other.busy,
            max(self.lag, other.lag),
            max(self.load, other.load),
            tuple(map(sum, zip(self.statuses, other.statuses, strict=True))),
            tuple(map(sum, zip(self.latency, other.latency, strict=True))),
            _newest(self.exemplars, other.exemplars),
        )


def _newest(these: tuple[Exemplar, ...], those: tuple[Exemplar, ...]) -> tuple[Exemplar, ...]:
    """The last exemplar of each bucket."""
    return tuple({each.bucket: each for each in sorted((*these, *those), key=lambda each: each.at)}.values())


@frozen
class WorkerStatus:
    """One worker. `silent` is how long its event loop has been blocked, `reason` why it drains or is to be replaced.

    `busy` is the share of the last half second that it used the CPU, or that its event loop was late by: 1 while the
    event loop is blocked and cannot report.
    """

    slot: int
    worker: int
    generation: int
    pid: int | None
    stage: str
    age: float
    in_stage: float
    silent: float
    busy: float
    reason: str
    counted: Reading


@frozen
class SlotStatus:
    """One slot: the number of unplanned restarts, and the reason and age of the last; None for never.

    `starts_in` is the backoff that is left before the next attempt.
    """

    slot: int
    restarts: int
    reason: str
    ago: float | None
    starts_in: float


@frozen
class ReloadStatus:
    """A reload that has ended `ago` seconds ago, after `took` seconds, and why, unless it is done."""

    number: int
    generation: int | None
    outcome: str
    error: str
    ago: float
    took: float


@frozen
class TemplateStatus:
    generation: int
    pid: int | None
    stage: str
    preload: str


@frozen
class Status:
    """The whole service.

    `phase` is one of starting, serving, reloading, upgrading, degraded and stopping, and `reason` says why.
    `rollback_to` is the generation that can be returned to, for `rollback_for` seconds more. `counted` is the sum over
    all workers there have been.
    """

    version: str
    pid: int
    uptime: float
    app: str
    addresses: tuple[str, ...]
    pidfile: str
    config_file: str
    directory: str
    phase: str
    reason: str
    generation: int | None
    loading: int | None
    rollback_to: int | None
    rollback_for: float
    target: int
    ready: int
    last_error: str
    log_level: str
    restarts: Mapping[str, int]
    reloads: Mapping[str, int]
    recent_reloads: tuple[ReloadStatus, ...]
    counted: Reading
    latency_bounds: tuple[float, ...]
    workers: tuple[WorkerStatus, ...]
    slots: tuple[SlotStatus, ...]
    templates: tuple[TemplateStatus, ...]


@frozen
class Observed:
    """Observations of the executor: readings by worker, the sum for exited workers, process ids of templates."""

    readings: Mapping[int, Reading]
    exited: Reading
    template_pids: Mapping[int, int]
    log_level: str
    latency_bounds: tuple[float, ...]


def status_of(about: About, state: State, history: History, observed: Observed, at: float) -> Status:
    """The status at the monotonic time `at`."""
    phase, reason = condition(state, at)
    until = previous_until(state)
    returns = state.previous if state.can_fork(state.previous) else None
    counted = observed.exited
    for reading in observed.readings.values():
        counted = counted.plus(reading)
    return Status(
        version=about.version,
        pid=about.pid,
        uptime=at - about.began,
        app=about.app,
        addresses=about.addresses,
        pidfile=about.pidfile,
        config_file=about.config_file,
        directory=about.directory,
        phase=phase,
        reason=reason,
        generation=state.served,
        loading=state.candidate,
        rollback_to=returns,
        rollback_for=max(0.0, until - at) if until is not None and returns is not None else 0.0,
        target=state.target,
        ready=_served(state),
        last_error=state.last_error,
        log_level=observed.log_level,
        restarts=history.causes,
        reloads=history.reloads,
        recent_reloads=tuple(_reload(each, at) for each in history.recent_reloads),
        counted=counted,
        latency_bounds=observed.latency_bounds,
        workers=tuple(_worker(each, observed.readings.get(each.id, Reading()), at) for each in _in_order(state)),
        slots=tuple(_slot(state, slot, history.slots.get(slot, Restarted()), at) for slot in range(state.target)),
        templates=tuple(
            TemplateStatus(each.generation, observed.template_pids.get(each.generation), each.stage.value, each.preload)
            for each in state.templates.values()
        ),
    )


def condition(state: State, at: float) -> tuple[str, str]:
    """Displayed phase of the service, and its reason."""
    served = _served(state)
    if state.stop_at is not None:
        return "stopping", "accepting connections until --drain-delay is over"
    if state.phase in (Phase.STOPPING, Phase.STOPPED):
        return "stopping", "the new master serves" if state.handed_over else ""
    if state.phase is Phase.STARTING:
        return "starting", f"{served} of {state.target} workers are ready"
    return _in_development(state, served) if state.settings.development else _in_production(state, served, at)


def _in_production(state: State, served: int, at: float) -> tuple[str, str]:
    if served < state.target:
        return "degraded", _missing(state, served)
    if state.phase is Phase.RELOADING:
        return "reloading", _reload_progress(state, at)
    return ("upgrading", "starting a new master") if state.upgrading else ("serving", "")


def _in_development(state: State, served: int) -> tuple[str, str]:
    if state.broken is not None:
        return "degraded", f"generation {state.revision} failed to start"
    if not state.announced:
        return "reloading", f"starting generation {state.revision}"
    return ("degraded", _missing(state, served)) if served < state.target else ("serving", "")


def _missing(state: State, served: int) -> str:
    return f"{served or 'none'} of {state.target} workers {'is' if served < 2 else 'are'} ready"


def _reload_progress(state: State, at: float) -> str:
    template = state.templates.get(state.candidate or 0)
    if template is None or template.stage is not TemplateStage.READY:
        return f"loading generation {state.candidate}"
    done = sum(worker.generation == state.candidate for worker in state.ready())
    if done == 0:
        return f"starting the first worker of generation {state.candidate}"
    soaks = "" if is_soaked(state, at) else ", soaking"
    return f"{done} of {state.target} workers run generation {state.candidate}{soaks}"


def _served(state: State) -> int:
    """Number of slots with a ready worker; those beyond the target stand in for others, so they count up to it."""
    return min(len({worker.slot for worker in state.ready()}), state.target)


def _in_order(state: State) -> list[Worker]:
    """Workers by slot; within a slot, the one that serves, then those that start, then those that drain."""
    return sorted(state.workers.values(), key=lambda each: (each.slot, not each.is_ready, not each.is_live, each.id))


def _worker(worker: Worker, counted: Reading, at: float) -> WorkerStatus:
    silent = max(0.0, at - max(counted.beat, worker.spawned_at)) if worker.pid is not None else 0.0
    reason = worker.reason or worker.retiring
    return WorkerStatus(
        slot=worker.slot,
        worker=worker.id,
        generation=worker.code,
        pid=worker.pid,
        stage=worker.stage.value,
        age=at - worker.spawned_at,
        in_stage=at - worker.since,
        silent=silent,
        busy=_busy(worker, counted, silent),
        reason=reason,
        counted=replace(counted, exemplars=()),
    )


def _busy(worker: Worker, counted: Reading, silent: float) -> float:
    is_blocked = worker.stage in (Stage.READY, Stage.STUCK) and silent > _BLOCKED
    return 1.0 if is_blocked else counted.load


def _reload(record: ReloadRecord, at: float) -> ReloadStatus:
    return ReloadStatus(
        number=record.number,
        generation=record.generation,
        outcome=record.outcome,
        error=record.error,
        ago=at - record.ended,
        took=record.ended - record.began,
    )


def _slot(state: State, slot: int, restarted: Restarted, at: float) -> SlotStatus:
    restarts = state.restarts.get(slot)
    waits = max(0.0, restarts.not_before - at) if restarts is not None and not state.in_slot(slot) else 0.0
    ago = at - restarted.at if restarted.times else None
    return SlotStatus(slot, restarted.times, restarted.reason, ago, waits)
