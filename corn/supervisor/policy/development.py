"""Policy of `corn dev`: a change withdraws the old code at once, and a failure is served, not fatal. Pure.

    revision    counts the versions of the code; it grows with every change, and each worker belongs to one
    bare        a template that has loaded corn's worker code alone; there is always one
    warm        a template that has also loaded the packages that the application imports; workers are forked from it as
                soon as it is ready
    responder   a worker that serves the failure of the current revision in place of the application

Rules, in place of those of reconcile.py and failures.py:
- No worker of an older revision accepts a connection: it is drained as soon as a change is reported. New connections
  wait in the accept queues.
- A worker of the current revision that cannot be started makes that revision a failure, which responders serve until
  the next change. No failure ends the master.
- A worker that fails while an older one is still running may conflict with it over an exclusive resource: a database
  file, a lock, a port. It is retried once after the older ones have exited. If that helps, later revisions also wait
  for the old exits.
- With `keep_last_good` the old workers serve until a new one is ready.
- A change of the environment (packages, env files, options) discards the templates.

Rejected: waiting for the old worker's exit before each boot. Most applications hold no exclusive resource, and every
in-flight request would delay the reload.
Rejected: a reload of generations (rolling_reload.py) for each change. It would have to disable all of its guarantees:
the canary, the soak, the rollback, and the old code that continues to serve.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from corn.errors import ExitCode
from corn.supervisor.policy import events, failures
from corn.supervisor.policy.actions import AnnounceReload, Level, ShowFailure, SpawnWorker
from corn.supervisor.policy.backoff import delay_after
from corn.supervisor.policy.health import is_to_be_replaced
from corn.supervisor.policy.state import (
    SPAWN_TIMEOUT,
    Phase,
    RevisionFailure,
    Stage,
    State,
    Template,
    TemplateStage,
    Worker,
)
from corn.supervisor.policy.transition import (
    Transition,
    drain_or_kill,
    drain_surplus,
    spawn_template,
    stop_template,
    template_loaded,
    update_readiness,
)

SYNTAX = "syntax"  # diagnosis.failure
_CHANGED = "the code has changed"


def _started(draft: Transition, event: events.Started) -> None:
    draft.change(unready_since=event.at, changed_at=event.at)


def _template_ready(draft: Transition, event: events.TemplateReady) -> None:
    template = template_loaded(draft, event)
    if template is not None:
        draft.change(template_retries=0)
        if template.warm:
            draft.log(
                Level.DEBUG, f"packages are preloaded: the next worker is forked from generation {event.generation}"
            )


def _template_exited(draft: Transition, event: events.TemplateExited) -> None:
    """A template has exited: forks fall back to the bare one, which `reconcile` replaces."""
    template = draft.state.templates.get(event.generation)
    if template is None:
        return
    draft.forget_template(event.generation)
    if template.stage in (TemplateStage.LOADING, TemplateStage.READY):
        kind = "preloaded packages" if template.warm else "no packages"
        draft.log(Level.WARNING, f"the template with {kind} was lost ({event.end})")


def _reload_requested(draft: Transition, event: events.ReloadRequested) -> None:
    if draft.state.phase is not Phase.STOPPING and draft.state.stop_at is None:
        _code_changed(draft, events.CodeChanged(event.at, event.settings, cold=True))


def _code_changed(draft: Transition, event: events.CodeChanged) -> None:
    draft.change(settings=event.settings, target=event.settings.workers)
    _begin_revision(draft, cold=event.cold, since=draft.at - event.age)


def _begin_revision(draft: Transition, *, cold: bool, since: float) -> None:
    """Begin a new revision; `since` is when its first file was saved."""
    state = draft.state
    if state.phase in (Phase.STOPPING, Phase.STOPPED):
        return
    draft.change(revision=state.revision + 1, changed_at=since, broken=None, restarts={}, announced=False)
    draft.change(exclusive=state.exclusive and not cold)
    if cold:
        for template in list(state.templates.values()):
            if template.stage in (TemplateStage.LOADING, TemplateStage.READY):
                stop_template(draft, template)


def _packages_known(draft: Transition, _: events.PackagesKnown) -> None:
    """Load the packages that the application imports into a new template, once they are known or have changed."""
    for template in list(draft.state.templates.values()):
        if template.warm and template.stage is TemplateStage.LOADING:
            stop_template(draft, template)
    if draft.state.phase is not Phase.STOPPING:
        spawn_template(draft, draft.state.settings, warm=True)


def template_failed(draft: Transition, generation: int, failure: RevisionFailure, exit_code: int) -> None:
    """A template failed to load."""
    if draft.state.was_ready:
        draft.log(Level.ERROR, f"the template of generation {generation} failed: {failure.error}", failure.detail)
    else:
        failures.abort_start(draft, failure, exit_code)


def template_lost(draft: Transition, template: Template, how: str) -> None:
    """A template no longer responds."""
    draft.log(Level.WARNING, f"the template of generation {template.generation} was lost ({how})")


def worker_failed(draft: Transition, worker: Worker, failure: RevisionFailure, exit_code: int) -> None:
    """A worker could not boot: its revision is shown as a failure, without a retry."""
    state = draft.state
    if worker.stage is not Stage.BOOTING or worker.responder:
        failures.worker_failed(draft, worker, failure, exit_code)
    elif worker.revision != state.revision or state.phase is Phase.STOPPING:
        return
    elif exit_code == ExitCode.USAGE and not state.was_ready:
        failures.abort_start(draft, failure, exit_code)
    else:
        _boot_failed(draft, worker, failure)


def never_give_up(draft: Transition) -> None:
    """Do nothing: the next change may fix the failure."""


def _boot_failed(draft: Transition, worker: Worker, failure: RevisionFailure) -> None:
    state = draft.state
    if _may_have_conflicted(draft, worker) and not state.settings.keep_last_good and not _is_certain(failure):
        draft.change(exclusive=True)
        draft.log(Level.DEBUG, f"{failure.error}; retrying once the workers before it have exited")
    elif state.broken is None:
        draft.change(exclusive=False, broken=failure, announced=True)
        draft.change(last_error=failure.error, last_detail=failure.detail)
        draft.do(ShowFailure(state.revision, failure, draft.at - state.changed_at))


def _may_have_conflicted(draft: Transition, worker: Worker) -> bool:
    """True if another worker may have held a resource that this one needed to start."""
    others = (each for each in draft.state.workers.values() if each.id != worker.id)
    still = any(_may_hold_resource(draft.state, each, worker.slot) for each in others)
    return worker.overlaps and (still or draft.at - worker.spawned_at <= draft.state.settings.drain_timeout)


def _is_certain(failure: RevisionFailure) -> bool:
    """True if the cause is certainly the code: it cannot be compiled."""
    return failure.failure is not None and failure.failure.get("kind") == SYNTAX


def reconcile(draft: Transition) -> None:
    """Start, drain and stop workers and templates until they match the current revision."""
    update_readiness(draft)
    _keep_templates(draft)
    for slot in range(draft.state.target):
        _fill(draft, slot)
    drain_surplus(draft)
    _announce(draft)


def _keep_templates(draft: Transition) -> None:
    """Keep one warm and one bare template at most; fork from the warm one if it is ready, else from the bare one."""
    state = draft.state
    ready = [each for each in state.templates.values() if each.stage is TemplateStage.READY]
    warm, bare = ([each for each in ready if each.warm is kind] for kind in (True, False))
    for each in (*warm[:-1], *bare[:-1]):
        stop_template(draft, each)
    best = (*bare[-1:], *warm[-1:])
    draft.change(current=best[-1].generation if best else None)
    if not any(not each.warm and _is_available(each) for each in draft.state.templates.values()):
        _spawn_bare(draft)


def _is_available(template: Template) -> bool:
    return template.stage in (TemplateStage.LOADING, TemplateStage.READY)


def _spawn_bare(draft: Transition) -> None:
    state = draft.state
    if state.template_retry_at is None:
        wait = 0.0 if state.template_retries == 0 else delay_after(state.template_retries)
        draft.change(template_retry_at=draft.at + wait, template_retries=state.template_retries + 1)
    if draft.state.template_retry_at is not None and draft.state.template_retry_at <= draft.at:
        spawn_template(draft, state.settings)
        draft.change(template_retry_at=None)


def _fill(draft: Transition, slot: int) -> None:
    state = draft.state
    live = state.in_slot(slot)
    current = [each for each in live if _is_current(state, each)]
    good = [each for each in current if not is_to_be_replaced(state, each, draft.at)]
    keeps_old = state.settings.keep_last_good and not any(each.is_ready for each in current)
    for worker in live:
        if worker in good:
            continue
        serves_on = (keeps_old and not worker.responder) or (worker in current and not state.exclusive)
        if not (serves_on and worker.is_ready) or any(each.is_ready for each in good):
            _withdraw(draft, worker)
    kept = [each for each in draft.state.in_slot(slot) if each.is_ready and not each.responder]
    if not good and not (state.broken is not None and kept):
        _spawn(draft, slot)


def _is_current(state: State, worker: Worker) -> bool:
    return worker.revision == state.revision and worker.responder is (state.broken is not None)


def _withdraw(draft: Transition, worker: Worker) -> None:
    """Drain a worker that serves, or kill one that boots."""
    drain_or_kill(draft, worker, worker.retiring or _CHANGED)


def _spawn(draft: Transition, slot: int) -> None:
    state = draft.state
    if not state.can_fork(state.current) or draft.restarts(slot).not_before > draft.at:
        return
    responder = state.broken is not None
    overlaps = not responder and any(_may_hold_resource(state, each, slot) for each in state.workers.values())
    if overlaps and state.exclusive:
        return
    assert state.current is not None
    worker = Worker(
        state.next_worker,
        slot,
        state.current,
        Stage.SPAWNING,
        draft.at,
        draft.at + SPAWN_TIMEOUT,
        revision=state.revision,
        responder=responder,
        spawned_at=draft.at,
        overlaps=overlaps,
    )
    draft.worker(worker)
    draft.change(next_worker=worker.id + 1)
    broken = state.broken if worker.responder else None
    draft.do(SpawnWorker(worker.id, slot, state.current, revision=state.revision, broken=broken))


def _may_hold_resource(state: State, worker: Worker, slot: int) -> bool:
    """True if a worker has run the application and is not a sibling that serves beside the next one."""
    is_sibling = worker.revision == state.revision and worker.slot != slot and worker.is_live
    return not worker.responder and not is_sibling


def _announce(draft: Transition) -> None:
    """Announce each revision once, when all slots are served by it."""
    state = draft.state
    if state.announced or state.phase is not Phase.RUNNING:
        return
    serving = {each.slot for each in state.ready() if each.revision == state.revision and not each.responder}
    if len(serving) >= state.target:
        draft.change(announced=True, last_error="", last_detail="")
        draft.do(AnnounceReload(state.revision, draft.at - state.changed_at))


def _debugging(draft: Transition, event: events.WorkerDebugging) -> None:
    """A debugger waits in a worker: its boot has no deadline."""
    worker = draft.state.workers.get(event.worker)
    if worker is not None and worker.stage is Stage.BOOTING:
        draft.worker(worker, deadline=None)


EVENTS: dict[type[events.Event], Callable[[Transition, Any], None]] = {
    events.Started: _started,
    events.TemplateReady: _template_ready,
    events.TemplateExited: _template_exited,
    events.WorkerDebugging: _debugging,
    events.ReloadRequested: _reload_requested,
    events.CodeChanged: _code_changed,
    events.PackagesKnown: _packages_known,
}
