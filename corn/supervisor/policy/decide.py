"""Decision function of the master: `decide(state, event)` returns the new state and the actions to carry out. Pure.

The loop translates signals, messages, process exits and timers into events. The policy handles each of them at once
and never waits. Anything that takes time (a boot, a rolling reload, a drain) is part of the state, and any event may
change it, so a stop can interrupt a reload at any point. Each event is handled in two steps: its rule in the table
below updates the state, then `reconcile` starts and drains workers to match the state.

Invariants, checked over random sequences of events in tests/supervisor/policy/test_decide_properties.py:
- while a good generation exists, no slot that could be filled stays empty, and no ready worker is drained before
  another is ready in its place, except by a stop; when scaled down, one is drained if enough others are ready;
- at most two generations have live workers, and one after a reload has ended either way;
- every worker's exit is logged once, with its reason;
- after a stop, every sequence of exits ends in `Exit`.

Rejected: a loop that performs the reload and waits for each worker (uvicorn, gunicorn): a signal that arrives meanwhile
is not handled. Rejected: one object with methods for master, worker and reload: it cannot be tested without processes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from corn.errors import ExitCode
from corn.supervisor.policy import development, failures
from corn.supervisor.policy.actions import Action, Announce, Exit, Level
from corn.supervisor.policy.deadlines import escalate_template, escalate_worker, overdue_templates, overdue_workers
from corn.supervisor.policy.events import (
    CodeChanged,
    DrainRequested,
    Event,
    HeartbeatsSeen,
    LoadSampled,
    MemorySampled,
    PackagesKnown,
    ReloadRequested,
    RestartRequested,
    RollbackRequested,
    ScaleRequested,
    Started,
    StopRequested,
    SuccessorFailed,
    SuccessorReady,
    TemplateExited,
    TemplateFailed,
    TemplateReady,
    TemplateSteppedDown,
    Tick,
    UpgradeRequested,
    WorkerBooting,
    WorkerDebugging,
    WorkerDraining,
    WorkerExited,
    WorkerFailed,
    WorkerForked,
    WorkerNotForked,
    WorkerReady,
    WorkerRetiring,
)
from corn.supervisor.policy.health import heartbeats_seen, memory_sampled
from corn.supervisor.policy.operator_requests import (
    drain_requested,
    restart_requested,
    rollback_requested,
    scale_requested,
)
from corn.supervisor.policy.reconcile import reconcile
from corn.supervisor.policy.scaling import load_sampled
from corn.supervisor.policy.shutdown import (
    stop_requested,
    stop_when_due,
    successor_failed,
    successor_ready,
    upgrade_requested,
)
from corn.supervisor.policy.state import (
    QUICK_GRACE,
    Phase,
    ProcessExit,
    RevisionFailure,
    Stage,
    State,
    TemplateStage,
    Worker,
)
from corn.supervisor.policy.transition import Rules, Transition, spawn_template, template_loaded

_BOOT_FAILED = "boot failed"


class Decision(NamedTuple):
    state: State
    actions: tuple[Action, ...]


def decide(state: State, event: Event) -> Decision:
    """Handle one event. Total: an event about a worker or a template that has exited changes nothing."""
    if state.phase is Phase.STOPPED:
        return Decision(state, ())
    rules = _DEVELOPMENT if state.settings.development else _PRODUCTION
    draft = Transition(state, event.at, rules)
    rules.events[type(event)](draft, event)
    _escalate_overdue(draft)
    stop_when_due(draft)
    rules.give_up(draft)
    if draft.state.phase not in (Phase.STOPPING, Phase.STOPPED):
        rules.reconcile(draft)
    _settle(draft)
    return Decision(draft.state, tuple(draft.actions))


def _started(draft: Transition, event: Started) -> None:
    draft.change(candidate=spawn_template(draft, draft.state.settings), unready_since=event.at)


def _template_ready(draft: Transition, event: TemplateReady) -> None:
    if template_loaded(draft, event) is not None and draft.state.phase is Phase.STARTING:
        draft.change(current=event.generation, candidate=None)


def _template_stepped_down(draft: Transition, event: TemplateSteppedDown) -> None:
    template = draft.state.templates.get(event.generation)
    if template is not None and template.stage is TemplateStage.LOADING:
        draft.template(template, deadline=draft.at + template.settings.timeout_boot)
        draft.log(Level.WARNING, event.reason)


def _template_failed(draft: Transition, event: TemplateFailed) -> None:
    draft.rules.template_failed(draft, event.generation, RevisionFailure(event.error, event.detail), event.exit_code)


def _template_exited(draft: Transition, event: TemplateExited) -> None:
    template = draft.state.templates.get(event.generation)
    if template is None:
        return
    draft.forget_template(event.generation)
    if template.stage is TemplateStage.LOADING:
        failure = RevisionFailure(f"the application's process {event.end} while loading")
        draft.rules.template_failed(draft, event.generation, failure, ExitCode.APPLICATION)
    elif template.stage is TemplateStage.READY:
        draft.rules.template_lost(draft, template, str(event.end))


def _worker_forked(draft: Transition, event: WorkerForked) -> None:
    worker = draft.state.workers.get(event.worker)
    if worker is not None:
        draft.worker(worker, pid=event.pid)
        template = draft.state.templates.get(worker.generation)
        if template is not None and template.missed:
            draft.template(template, missed=0)


def _worker_not_forked(draft: Transition, event: WorkerNotForked) -> None:
    worker = draft.state.workers.get(event.worker)
    if worker is None:
        return
    draft.forget_worker(worker)
    if worker.is_live:
        failure = RevisionFailure(f"could not be forked: {event.error}")
        draft.rules.worker_failed(draft, worker, failure, event.exit_code)


def _worker_booting(draft: Transition, event: WorkerBooting) -> None:
    worker = draft.state.workers.get(event.worker)
    if worker is not None and worker.stage is Stage.SPAWNING:
        template = draft.state.templates.get(worker.generation)
        settings = template.settings if template else draft.state.settings
        deadline = draft.at + settings.timeout_boot
        draft.worker(worker, stage=Stage.BOOTING, since=draft.at, deadline=deadline)


def _worker_ready(draft: Transition, event: WorkerReady) -> None:
    worker = draft.state.workers.get(event.worker)
    if worker is None or worker.stage not in (Stage.SPAWNING, Stage.BOOTING):
        return
    draft.worker(worker, stage=Stage.READY, since=draft.at, deadline=None)
    draft.log(Level.DEBUG, f"{draft.state.workers[worker.id]} is ready")


def _worker_failed(draft: Transition, event: WorkerFailed) -> None:
    worker = draft.state.workers.get(event.worker)
    if worker is not None and worker.stage in (Stage.SPAWNING, Stage.BOOTING):
        kill_at = draft.at + QUICK_GRACE
        draft.worker(worker, stage=Stage.DRAINING, since=draft.at, deadline=kill_at, reason=_BOOT_FAILED)
        failure = RevisionFailure(event.error, event.detail, event.failure)
        draft.rules.worker_failed(draft, worker, failure, event.exit_code)


def _worker_retiring(draft: Transition, event: WorkerRetiring) -> None:
    worker = draft.state.workers.get(event.worker)
    if worker is not None and worker.is_live:
        draft.worker(worker, retiring=worker.retiring or event.reason, at_once=worker.at_once or event.at_once)


def _worker_draining(draft: Transition, event: WorkerDraining) -> None:
    worker = draft.state.workers.get(event.worker)
    if worker is not None:
        draft.worker(worker, accepts=False)


def _worker_exited(draft: Transition, event: WorkerExited) -> None:
    worker = draft.state.workers.get(event.worker)
    if worker is None:
        return
    draft.forget_worker(worker)
    in_order = event.end.code == 0
    if worker.is_live and not (worker.retiring and in_order):
        failures.worker_ended(draft, worker, event.end)
    else:
        how = "" if in_order else f", {event.end}"
        level = Level.INFO if in_order or _is_expected(draft.state, worker, event.end) else Level.WARNING
        if draft.rules is _DEVELOPMENT or worker.reason == _BOOT_FAILED:
            level = Level.DEBUG  # the failure is logged already, or will be
        draft.log(level, f"{worker} exited: {worker.reason or worker.retiring}{how}")


def _is_expected(state: State, worker: Worker, end: ProcessExit) -> bool:
    """True if a stop explains a worker's exit: the signal reached it too, or corn killed it and logged the reason."""
    killed = worker.stage in (Stage.KILLING, Stage.ABORTING) or end.signal == "SIGTERM"
    is_unknown = end.code is None and not end.signal
    return state.phase is Phase.STOPPING and (killed or is_unknown)


def _reload_requested(draft: Transition, event: ReloadRequested) -> None:
    if draft.state.phase is Phase.STOPPING or draft.state.stop_at is not None:
        return
    if draft.state.phase is not Phase.RUNNING:
        draft.change(queued_reload=event.settings)
        draft.log(Level.INFO, "reload queued until the one under way has finished")
        return
    _begin_reload(draft, event)


def _begin_reload(draft: Transition, event: ReloadRequested) -> None:
    candidate = spawn_template(draft, event.settings)
    draft.change(phase=Phase.RELOADING, candidate=candidate, template_retry_at=None, scaled=None)
    draft.log(Level.INFO, f"reloading: loading generation {candidate}")


def _tick(draft: Transition, event: Tick) -> None:
    """Deadlines are checked after every event, so time alone needs no rule."""


def _escalate_overdue(draft: Transition) -> None:
    for worker in overdue_workers(draft.state, draft.at):
        if worker.pid is None:
            draft.forget_worker(worker)
            if worker.stage is Stage.SPAWNING:
                failures.fork_missed(draft, worker)
        else:
            escalate_worker(draft, worker)
            if worker.is_live:
                failure = RevisionFailure(draft.state.workers[worker.id].reason)
                draft.rules.worker_failed(draft, worker, failure, ExitCode.APPLICATION)
    for template in overdue_templates(draft.state, draft.at):
        escalate_template(draft, template)
        if template.stage is TemplateStage.LOADING:
            error = f"not loaded within --timeout-boot ({template.settings.timeout_boot:g} s)"
            draft.rules.template_failed(draft, template.generation, RevisionFailure(error), ExitCode.APPLICATION)


def _settle(draft: Transition) -> None:
    """Advance to the next phase if this one is complete."""
    state = draft.state
    if state.phase is Phase.STARTING and _is_started(state):
        draft.change(phase=Phase.RUNNING)
        draft.do(Announce(_preload_of(state)))
    elif state.phase is Phase.STOPPING and not state.workers and not state.templates:
        draft.change(phase=Phase.STOPPED)
        draft.do(Exit(state.exit_code))
    if draft.state.phase is Phase.RUNNING and draft.state.queued_reload is not None:
        queued_reload = ReloadRequested(draft.at, draft.state.queued_reload)
        draft.change(queued_reload=None)
        _begin_reload(draft, queued_reload)


def _preload_of(state: State) -> str:
    template = state.templates.get(state.current or 0)
    return template.preload if template else ""


def _is_started(state: State) -> bool:
    """True if every slot is served, or some are and all others have failed and wait for their backoff.

    Also if a worker was ready and the template is lost, because only a running master replaces its template.
    """
    served = state.served_slots()
    is_lost = state.was_ready and not state.can_fork(state.current)
    return len(served) == state.target or bool(served and state.restarts) or is_lost


def _ignored_in_production(draft: Transition, event: Event) -> None:
    """Rule for events that only occur in `corn dev`: do nothing."""


_RULES: dict[type[Event], Callable[[Transition, Any], None]] = {
    Started: _started,
    TemplateReady: _template_ready,
    TemplateSteppedDown: _template_stepped_down,
    TemplateFailed: _template_failed,
    TemplateExited: _template_exited,
    WorkerForked: _worker_forked,
    WorkerNotForked: _worker_not_forked,
    WorkerBooting: _worker_booting,
    WorkerReady: _worker_ready,
    WorkerFailed: _worker_failed,
    WorkerRetiring: _worker_retiring,
    WorkerDraining: _worker_draining,
    WorkerDebugging: _ignored_in_production,
    CodeChanged: _ignored_in_production,
    PackagesKnown: _ignored_in_production,
    WorkerExited: _worker_exited,
    ReloadRequested: _reload_requested,
    ScaleRequested: scale_requested,
    RollbackRequested: rollback_requested,
    RestartRequested: restart_requested,
    DrainRequested: drain_requested,
    UpgradeRequested: upgrade_requested,
    SuccessorReady: successor_ready,
    SuccessorFailed: successor_failed,
    StopRequested: stop_requested,
    LoadSampled: load_sampled,
    MemorySampled: memory_sampled,
    HeartbeatsSeen: heartbeats_seen,
    Tick: _tick,
}

_PRODUCTION = Rules(
    _RULES,
    failures.template_failed,
    failures.template_lost,
    failures.worker_failed,
    failures.give_up,
    reconcile,
)
_DEVELOPMENT = Rules(
    {**_RULES, **development.EVENTS},
    development.template_failed,
    development.template_lost,
    development.worker_failed,
    development.never_give_up,
    development.reconcile,
)
