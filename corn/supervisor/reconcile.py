"""Bring the workers to what the phase asks for. Pure, and without memory of its own: after each event the state alone
says which generation every slot should be served by, so a rolling reload, a rollback, a recycle and a respawn are the
same few rules, and a stop overtakes all of them by changing the phase.

Rules:
- A slot without a live worker of the generation it wants gets one, when its template can fork and its backoff is over.
- The old worker of a slot is drained only when the new one is ready: capacity never falls below what it was.
- During a reload, slot n wants the candidate once all slots below n have it ready: one slot at a time, the first is the
  canary. With no candidate any more, all slots want the current generation again: that is the rollback.
- Of the workers that asked to be replaced, one at a time is.
"""

from __future__ import annotations

from math import inf

from corn.supervisor.actions import DrainWorker, KillWorker, Level, SpawnTemplate, SpawnWorker, StopTemplate
from corn.supervisor.draft import Draft
from corn.supervisor.restarts import delay_after
from corn.supervisor.state import (
    KILL_TIMEOUT,
    QUICK_GRACE,
    SPAWN_TIMEOUT,
    TEMPLATE_EXIT_TIMEOUT,
    Phase,
    Settings,
    Stage,
    State,
    Template,
    TemplateStage,
    Worker,
)


def reconcile(draft: Draft) -> None:
    """Apply the rules above to every slot; a stopping master fills none."""
    if draft.state.phase in (Phase.STOPPING, Phase.STOPPED):
        return
    _commit_reload(draft)
    _remember_readiness(draft)
    for slot in range(draft.state.target):
        _fill(draft, slot)
    for worker in list(draft.state.workers.values()):
        if worker.is_live and worker.slot >= draft.state.target:
            leave(draft, worker, "scaled down")
    _stop_templates_without_use(draft)
    _replace_lost_template(draft)


def wanted_generation(state: State, slot: int) -> int | None:
    """The generation that should serve a slot now."""
    if state.phase is Phase.RELOADING and state.can_fork(state.candidate):
        below = range(min(slot, state.target))
        if all(_is_served_by(state, each, state.candidate) for each in below):
            return state.candidate
    return state.current


def leave(draft: Draft, worker: Worker, reason: str) -> None:
    """Have a live worker leave: drained if it serves, killed at once if it does not yet."""
    if worker.is_ready:
        drain(draft, worker, reason)
    else:
        kill(draft, worker, reason)


def drain(draft: Draft, worker: Worker, reason: str, *, final: bool = False, quick: bool = False) -> None:
    """Ask a worker to finish within its grace period, or at once if `quick`; `final` when no other goes on serving."""
    settings = draft.state.settings
    limit = QUICK_GRACE if quick else settings.time_to_leave
    deadline = min(draft.at + limit, worker.deadline or inf)
    draft.worker(worker, stage=Stage.DRAINING, since=draft.at, deadline=deadline, reason=worker.reason or reason)
    draft.do(DrainWorker(worker.id, 0.0 if quick else settings.timeout_graceful_shutdown, final))


def kill(draft: Draft, worker: Worker, reason: str) -> None:
    draft.worker(
        worker, stage=Stage.KILLING, since=draft.at, deadline=draft.at + KILL_TIMEOUT, reason=worker.reason or reason
    )
    draft.do(KillWorker(worker.id))


def spawn_template(draft: Draft, settings: Settings) -> int:
    """Start the template of a new generation and return its number."""
    generation = draft.state.next_generation
    deadline = draft.at + settings.timeout_boot
    draft.template(Template(generation, TemplateStage.LOADING, settings, draft.at, deadline))
    draft.change(next_generation=generation + 1)
    draft.do(SpawnTemplate(generation))
    return generation


def stop_template(draft: Draft, template: Template) -> None:
    """Have a template leave. Where it is its workers' parent it may stay as long as they do."""
    has_workers = any(worker.generation == template.generation for worker in draft.state.workers.values())
    limit = TEMPLATE_EXIT_TIMEOUT + (template.settings.time_to_leave + KILL_TIMEOUT if has_workers else 0.0)
    draft.template(template, stage=TemplateStage.LEAVING, since=draft.at, deadline=draft.at + limit)
    draft.do(StopTemplate(template.generation))


def _fill(draft: Draft, slot: int) -> None:
    wanted = wanted_generation(draft.state, slot)
    for worker in draft.state.in_slot(slot):
        if not worker.is_ready and worker.generation != wanted:
            leave(draft, worker, _reason_to_replace(draft.state, worker))
    live = draft.state.in_slot(slot)
    good = [worker for worker in live if worker.generation == wanted and not worker.retiring]
    if not good:
        _spawn(draft, slot, wanted, live)
    keeper = next((worker for worker in good if worker.is_ready), None)
    for worker in live:
        if keeper is not None and worker is not keeper:
            leave(draft, worker, worker.retiring or _reason_to_replace(draft.state, worker))


def _spawn(draft: Draft, slot: int, wanted: int | None, live: list[Worker]) -> None:
    state = draft.state
    if wanted is None or not state.can_fork(wanted):
        return
    if wanted == state.current and draft.restarts(slot).not_before > draft.at:
        return
    is_recycle = any(worker.is_ready and worker.generation == wanted for worker in live)
    if is_recycle and _is_recycling(state):
        return
    worker = Worker(state.next_worker, slot, wanted, Stage.SPAWNING, draft.at, draft.at + SPAWN_TIMEOUT)
    draft.worker(worker)
    draft.change(next_worker=worker.id + 1)
    draft.do(SpawnWorker(worker.id, slot, wanted))


def _is_recycling(state: State) -> bool:
    """Whether some slot already holds a worker that is to be replaced beside one that is not ready yet."""
    return any(
        any(worker.retiring for worker in live) and any(not worker.is_ready for worker in live)
        for live in map(state.in_slot, range(state.target))
    )


def _is_served_by(state: State, slot: int, generation: int | None) -> bool:
    return any(worker.is_ready and worker.generation == generation for worker in state.in_slot(slot))


def _reason_to_replace(state: State, worker: Worker) -> str:
    return "rolled back" if worker.generation > (state.current or 0) else "reload"


def _commit_reload(draft: Draft) -> None:
    state = draft.state
    if state.phase is not Phase.RELOADING or state.candidate is None:
        return
    if not all(_is_served_by(state, slot, state.candidate) for slot in range(state.target)):
        return
    template = state.templates[state.candidate]
    took = draft.at - template.since
    draft.change(
        phase=Phase.RUNNING,
        current=state.candidate,
        candidate=None,
        settings=template.settings,
        target=template.settings.workers,
        last_error="",
        template_retries=0,
        restarts={},
    )
    draft.say(Level.INFO, f"reloaded: generation {template.generation} serves, after {took:.2f} s")


def _remember_readiness(draft: Draft) -> None:
    if draft.state.ready():
        draft.change(failures=0, unready_since=None)
    elif draft.state.unready_since is None:
        draft.change(unready_since=draft.at)


def _stop_templates_without_use(draft: Draft) -> None:
    for template in list(draft.state.templates.values()):
        in_use = template.generation in (draft.state.current, draft.state.candidate)
        if not in_use and template.stage in (TemplateStage.LOADING, TemplateStage.READY):
            stop_template(draft, template)


def _replace_lost_template(draft: Draft) -> None:
    """Without the current template no worker can be replaced: load the code from disk, as a reload that may fail."""
    state = draft.state
    if state.phase is not Phase.RUNNING or state.current is None or state.current in state.templates:
        return
    if state.template_retry_at is None:
        wait = 0.0 if state.template_retries == 0 else delay_after(state.template_retries)
        draft.change(template_retry_at=draft.at + wait, template_retries=state.template_retries + 1)
    if draft.state.template_retry_at is not None and draft.state.template_retry_at <= draft.at:
        candidate = spawn_template(draft, state.settings)
        draft.change(phase=Phase.RELOADING, candidate=candidate, template_retry_at=None)
