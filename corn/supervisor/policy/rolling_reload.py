"""Rolling reload: canary, soak and commit, and the two ways back, abandonment and rollback. Pure.

    candidate's template loads -> canary in slot 0, gated -> it soaks beside all old workers -> slots follow, one by one
    -> commit: the candidate is the current generation, the old one the previous, whose template stays for a while

If the current generation has lost its template and all its workers, the candidate is committed with its first worker.

No old worker is drained before the canary has soaked, and none in a slot before its new worker is ready. Before the
commit, a failure of the candidate abandons the reload. After the commit, the crash of a worker within the probation
rolls back, unless the worker was killed from outside: the previous generation becomes current again, and `reconcile`
forks workers from its template. Neither reads the disk.

Rejected: a commit only after the probation. The next deploy would have to wait, with the same outcome.
"""

from __future__ import annotations

from corn.supervisor.policy.actions import Level
from corn.supervisor.policy.backoff import delay_after
from corn.supervisor.policy.scaling import target_of
from corn.supervisor.policy.state import Phase, Stage, State, TemplateStage
from corn.supervisor.policy.transition import Transition, spawn_template, stop_template

PROBATION = 5.0
_CLOSE_TIMEOUT = 1.0


def wanted_generation(state: State, slot: int, at: float) -> int | None:
    """The generation that should serve a slot now."""
    if state.phase is not Phase.RELOADING or not state.can_fork(state.candidate):
        return state.current
    may_follow = slot == 0 or _candidate_serves(state, range(min(slot, state.target)), at)
    return state.candidate if may_follow else state.current


def is_soaked(state: State, at: float) -> bool:
    """True if a worker of the candidate has been ready for its settings' soak time, or there is no candidate."""
    soaked_at = soak_ends(state)
    return state.candidate is None or (soaked_at is not None and soaked_at <= at)


def soak_ends(state: State) -> float | None:
    """End of the soak of the candidate's first ready worker, None if there is none."""
    if state.candidate is None or state.candidate not in state.templates:
        return None
    ready = [worker.since for worker in state.ready() if worker.generation == state.candidate]
    return min(ready) + state.templates[state.candidate].settings.soak if ready else None


def commit(draft: Transition) -> None:
    """Make the candidate current once it serves every slot, and the old code accepts no more connections.

    If nothing is left of the current generation, its first ready worker suffices: all slots are filled at once then,
    and no failure of a worker can withdraw the only code that can be served.
    """
    state = draft.state
    if state.phase is not Phase.RELOADING or state.candidate is None:
        return
    serves_all = _candidate_serves(state, range(state.target), draft.at)
    if not serves_all and not (state.is_served_by(state.candidate) and not state.can_fork(state.current)):
        return
    if any(worker.is_live and worker.generation != state.candidate for worker in state.workers.values()):
        return
    if any(still > draft.at for still in may_still_accept(state)):
        return
    template = state.templates[state.candidate]
    draft.change(
        phase=Phase.RUNNING,
        current=state.candidate,
        candidate=None,
        previous=state.current,
        committed_at=draft.at,
        settings=template.settings,
        target=target_of(state, template.settings),
        last_error="",
        last_detail="",
        template_retries=0 if serves_all else state.template_retries,
        restarts={},
    )
    draft.log(Level.INFO, f"reloaded: generation {template.generation} serves after {draft.at - template.since:.2f} s")


def may_still_accept(state: State) -> list[float]:
    """Deadlines for the draining workers to report that they have stopped accepting; a stuck worker never does."""
    return [
        worker.since + _CLOSE_TIMEOUT
        for worker in state.workers.values()
        if worker.stage is Stage.DRAINING and worker.accepts and worker.generation != state.candidate
    ]


def abandon(draft: Transition, error: str, detail: str = "") -> None:
    """Withdraw the candidate; the current generation has not been touched."""
    state = draft.state
    draft.change(phase=Phase.RUNNING, candidate=None, last_error=error, last_detail=detail)
    draft.log(Level.ERROR, f"reload failed: {state.kept}, generation {state.candidate} is withdrawn: {error}", detail)


def can_roll_back(state: State) -> bool:
    return state.phase is Phase.RUNNING and state.can_fork(state.previous)


def is_on_probation(state: State, at: float) -> bool:
    return state.previous is not None and at - state.committed_at < PROBATION


def roll_back(draft: Transition, why: str, *, level: Level = Level.ERROR) -> None:
    """Make the previous generation current again, from memory."""
    state = draft.state
    assert state.previous is not None
    settings = state.templates[state.previous].settings
    draft.change(
        current=state.previous,
        previous=None,
        settings=settings,
        target=target_of(state, settings),
        last_error=why if level is Level.ERROR else "",
        last_detail="",
        restarts={},
    )
    what = f"generation {state.previous} serves again, generation {state.current} is withdrawn"
    draft.log(level, f"rolled back: {what}: {why}")


def previous_until(state: State) -> float | None:
    """Time from which the previous generation's template is no longer kept."""
    return None if state.previous is None else state.committed_at + state.settings.rollback_window


def stop_templates_without_use(draft: Transition) -> None:
    until = previous_until(draft.state)
    if until is not None and until <= draft.at:
        draft.change(previous=None)
    state = draft.state
    for template in list(state.templates.values()):
        in_use = template.generation in (state.current, state.candidate, state.previous)
        if not in_use and template.stage in (TemplateStage.LOADING, TemplateStage.READY):
            stop_template(draft, template)


def replace_lost_template(draft: Transition) -> None:
    """Load the code from disk, as a reload, if the current generation has lost its template and cannot fork."""
    state = draft.state
    if state.phase is not Phase.RUNNING or state.current is None or state.current in state.templates:
        return
    if not state.ready() and state.can_fork(state.previous):
        roll_back(draft, "its template and all its workers were lost")
        return
    if state.template_retry_at is None:
        wait = 0.0 if state.template_retries == 0 else delay_after(state.template_retries)
        draft.change(template_retry_at=draft.at + wait, template_retries=state.template_retries + 1)
    if draft.state.template_retry_at is not None and draft.state.template_retry_at <= draft.at:
        candidate = spawn_template(draft, state.settings)
        draft.change(phase=Phase.RELOADING, candidate=candidate, template_retry_at=None)


def _candidate_serves(state: State, slots: range, at: float) -> bool:
    """True if the candidate has soaked, and has a ready worker in each of these slots."""
    served = {worker.slot for worker in state.ready() if worker.generation == state.candidate}
    return is_soaked(state, at) and served.issuperset(slots)
