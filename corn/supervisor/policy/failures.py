"""Failure handling, by the phase in which a template or a worker fails. Pure.

The outcome depends on the phase. At the first start, with no worker ready yet, corn reports it and exits with code 3.
When a reload's candidate fails, the reload is abandoned and the current generation continues to serve. When the current
generation fails, the slot is filled again after its backoff. During a stop the failure is only logged. No failure ends
a master that has a worker ready, or had one less than a minute ago.
"""

from __future__ import annotations

from corn.errors import ExitCode
from corn.supervisor.policy.actions import Level
from corn.supervisor.policy.backoff import after_crash, after_kill
from corn.supervisor.policy.deadlines import escalate_template
from corn.supervisor.policy.rolling_reload import abandon, can_roll_back, is_on_probation, roll_back
from corn.supervisor.policy.state import (
    Phase,
    ProcessExit,
    RevisionFailure,
    Stage,
    State,
    Stop,
    Template,
    TemplateStage,
    Worker,
)
from corn.supervisor.policy.transition import Transition, kill, stop_template

GIVE_UP_AFTER = 60.0
GIVE_UP_FAILURES = 10
_OUTSIDE_SIGNALS = frozenset({"SIGKILL", "SIGTERM"})
_MISSED_FORKS = 2


def template_failed(draft: Transition, generation: int, failure: RevisionFailure, exit_code: int) -> None:
    """The template of the first start or of a reload could not load the application."""
    if draft.state.phase is Phase.STARTING and generation == draft.state.candidate:
        abort_start(draft, failure, exit_code)
    elif generation == draft.state.candidate:
        abandon(draft, failure.error, failure.detail)


def template_lost(draft: Transition, template: Template, how: str) -> None:
    """A template that could fork has exited. Workers are unaffected; `reconcile` replaces the current one from disk."""
    generation = template.generation
    if generation == draft.state.current:
        left = "its workers continue to serve" if draft.state.is_served_by(generation) else "it has no ready worker"
        draft.log(Level.ERROR, f"the template of generation {generation} was lost ({how}); {left}")
    elif generation == draft.state.candidate:
        abandon(draft, f"its template was lost ({how})")


def worker_failed(draft: Transition, worker: Worker, failure: RevisionFailure, exit_code: int) -> None:
    """A worker could not boot. One that has exited is named, because nothing else logs its exit."""
    has_exited = worker.id not in draft.state.workers
    error = f"{worker} failed: {failure.error}"
    named = error if has_exited else failure.error
    if draft.state.phase is Phase.STARTING and not draft.state.was_ready:
        abort_start(draft, RevisionFailure(named, failure.detail), exit_code)
    elif worker.generation == draft.state.candidate:
        abandon(draft, named, failure.detail)
    elif draft.state.phase is not Phase.STOPPING:
        _back_off(draft, worker, None)
        draft.change(last_error=failure.error, last_detail=failure.detail)
        draft.log(Level.ERROR, f"{error}{_next_attempt(draft, worker)}", failure.detail)


def worker_ended(draft: Transition, worker: Worker, end: ProcessExit) -> None:
    """A worker exited without a request from the master."""
    if not worker.is_ready:
        draft.rules.worker_failed(draft, worker, RevisionFailure(f"{end} before it was ready"), ExitCode.APPLICATION)
        return
    _back_off(draft, worker, end)
    draft.change(last_error=f"{worker} crashed: {end}", last_detail="")
    draft.log(Level.ERROR, f"{worker} crashed: {end}{_next_attempt(draft, worker)}")
    if worker.generation == draft.state.candidate:
        abandon(draft, f"a new worker crashed: {end}")
    elif _is_fault_of_deploy(draft, worker, end):
        roll_back(draft, f"a worker crashed soon after the reload: {end}")


def _is_fault_of_deploy(draft: Transition, worker: Worker, end: ProcessExit) -> bool:
    """True if a crash is attributed to newly deployed code, and the previous code is still available."""
    state = draft.state
    is_new = worker.generation == state.current and is_on_probation(state, draft.at)
    return is_new and can_roll_back(state) and end.signal not in _OUTSIDE_SIGNALS


def fork_missed(draft: Transition, worker: Worker) -> None:
    """The template did not fork on request; after two such misses in a row it is given up."""
    template = draft.state.templates.get(worker.generation)
    if template is not None and template.stage is TemplateStage.READY:
        draft.template(template, missed=template.missed + 1)
        if template.missed + 1 >= _MISSED_FORKS:
            draft.log(Level.ERROR, f"the template of generation {template.generation} no longer forks")
            escalate_template(draft, draft.state.templates[template.generation])
            draft.rules.template_lost(draft, template, "it does not respond")
    draft.rules.worker_failed(draft, worker, RevisionFailure("was not forked in time"), ExitCode.APPLICATION)


def give_up(draft: Transition) -> None:
    """Exit if no worker has been ready for long despite retries, so that systemd or Kubernetes can act.

    Also if the first start has neither a template nor a worker left: each may have exited for a reason of its own.
    """
    state = draft.state
    if _is_start_lost(state):
        failure = RevisionFailure(f"the template of generation {state.current} was lost, and no worker is left")
        abort_start(draft, failure, ExitCode.APPLICATION)
        return
    if state.phase not in (Phase.STARTING, Phase.RUNNING):
        return
    if state.ready() or state.unready_since is None:
        return
    if state.failures >= GIVE_UP_FAILURES and draft.at - state.unready_since >= GIVE_UP_AFTER:
        draft.log(Level.ERROR, f"gave up: no worker was ready for {GIVE_UP_AFTER:g} s; last error: {state.last_error}")
        _stop_at_once(draft, ExitCode.GAVE_UP)


def _is_start_lost(state: State) -> bool:
    can_go_on = state.current is None or state.can_fork(state.current) or state.was_ready
    return state.phase is Phase.STARTING and not can_go_on and not any(each.is_live for each in state.workers.values())


def abort_start(draft: Transition, failure: RevisionFailure, exit_code: int) -> None:
    """Report why the first start failed, and exit."""
    draft.log(Level.ERROR, f"could not start: {failure.error}", failure.detail)
    draft.change(last_error=failure.error, last_detail=failure.detail)
    _stop_at_once(draft, exit_code)


def _stop_at_once(draft: Transition, exit_code: int) -> None:
    draft.change(phase=Phase.STOPPING, stop=Stop.QUICK, exit_code=int(exit_code), candidate=None, queued_reload=None)
    for worker in list(draft.state.workers.values()):
        if worker.is_live:
            kill(draft, worker, "stop")
    for template in list(draft.state.templates.values()):
        if template.stage in (TemplateStage.LOADING, TemplateStage.READY):
            stop_template(draft, template)


def _back_off(draft: Transition, worker: Worker, end: ProcessExit | None) -> None:
    history = draft.restarts(worker.slot)
    ready_for = draft.at - worker.since if worker.stage is Stage.READY else None
    if end is not None and end.signal in _OUTSIDE_SIGNALS and ready_for is not None:
        history = after_kill(history, draft.at, ready_for, worker.spread)
    else:
        history = after_crash(history, draft.at, ready_for, worker.spread)
    draft.set_restarts(worker.slot, history)
    draft.change(failures=draft.state.failures + 1)


def _next_attempt(draft: Transition, worker: Worker) -> str:
    wait = draft.restarts(worker.slot).not_before - draft.at
    return f"; replaced in {wait:.1f} s" if wait > 0 else "; replaced at once"
