"""Reconciliation of the workers with the phase. Pure, and without memory of its own: after each event the state alone
determines the generation that should serve each slot, so a rolling reload, a rollback, a recycle and a respawn are the
same few rules, and a stop overtakes all of them by changing the phase.

development.py has other rules for `corn dev`. Rules:
- A slot without a live worker of the wanted generation gets one when the template can fork and the backoff is over.
- The old worker of a slot is drained only when the new one is ready, so that capacity is not reduced.
- During a reload, slot n wants the candidate once it is ready in all slots below n: one slot at a time. The worker in
  slot 0 is the canary; all old workers stay until it has soaked. A canary that is to be replaced drains when the next
  one is ready. When the candidate is withdrawn, all slots want the current generation again.
- A worker of a withdrawn generation drains as soon as one of the current generation is ready in its slot. Until then
  only the newest of them is kept, so that repeated failed attempts do not fill the machine.
- If many more workers drain than there are slots, the oldest of them are stopped at once.
- Workers that exceed a limit are replaced one at a time.
"""

from __future__ import annotations

from corn.supervisor.policy.actions import Level, SpawnWorker
from corn.supervisor.policy.health import abort_replaced, is_recycling, is_to_be_replaced, reason_to_recycle
from corn.supervisor.policy.rolling_reload import (
    commit,
    is_soaked,
    replace_lost_template,
    stop_templates_without_use,
    wanted_generation,
)
from corn.supervisor.policy.state import QUICK_GRACE, SPAWN_TIMEOUT, Phase, Stage, State, Worker
from corn.supervisor.policy.transition import Transition, drain, drain_or_kill, drain_surplus, update_readiness

MIN_DRAINING = 8


def reconcile(draft: Transition) -> None:
    """Apply the rules above to every slot, unless the master stops."""
    commit(draft)
    replace_lost_template(draft)
    update_readiness(draft)
    for slot in range(draft.state.target):
        _fill(draft, slot)
    drain_surplus(draft)
    _limit_draining(draft)
    abort_replaced(draft)
    stop_templates_without_use(draft)


def _limit_draining(draft: Transition) -> None:
    """Stop surplus draining workers at once, so that deploys in quick succession do not fill the machine."""
    draining = [worker for worker in draft.state.workers.values() if worker.stage is Stage.DRAINING]
    for worker in draining[: max(0, len(draining) - max(MIN_DRAINING, 2 * draft.state.target))]:
        if worker.deadline is None or worker.deadline > draft.at + QUICK_GRACE:
            draft.log(Level.WARNING, f"stopping {worker} at once: too many old workers")
            drain(draft, worker, worker.reason, quick=True)


def _fill(draft: Transition, slot: int) -> None:
    wanted = wanted_generation(draft.state, slot, draft.at)
    for worker in draft.state.in_slot(slot):
        if not worker.is_ready and worker.generation != wanted:
            drain_or_kill(draft, worker, _drain_reason(draft.state, worker))
    live = draft.state.in_slot(slot)
    good = [each for each in live if each.generation == wanted and not is_to_be_replaced(draft.state, each, draft.at)]
    if not good:
        _spawn(draft, slot, wanted, live)
    _drain_withdrawn(draft, slot)
    keeper = next((worker for worker in good if worker.is_ready), None)
    if keeper is None:
        return
    is_canary = keeper.generation == draft.state.candidate and not is_soaked(draft.state, draft.at)
    for worker in live:
        if worker is not keeper and (not is_canary or worker.generation == keeper.generation):
            drain_or_kill(draft, worker, _drain_reason(draft.state, worker))


def _drain_withdrawn(draft: Transition, slot: int) -> None:
    """Drain the workers of withdrawn generations, but keep the newest if none of the current generation serves."""
    state = draft.state
    ready = [each for each in state.in_slot(slot) if each.is_ready]
    withdrawn = [each for each in ready if each.generation not in (state.current, state.candidate)]
    is_served = any(each.generation == state.current for each in ready)
    for worker in withdrawn if is_served else withdrawn[:-1]:
        drain(draft, worker, _drain_reason(state, worker))


def _spawn(draft: Transition, slot: int, wanted: int | None, live: list[Worker]) -> None:
    state = draft.state
    if wanted is None or not state.can_fork(wanted):
        return
    if wanted == state.current and draft.restarts(slot).not_before > draft.at:
        return
    replaced = next((worker for worker in live if worker.is_ready and worker.generation == wanted), None)
    if replaced is not None and not replaced.retires_at_once and is_recycling(state, draft.at):
        return
    worker = Worker(
        state.next_worker, slot, wanted, Stage.SPAWNING, draft.at, draft.at + SPAWN_TIMEOUT, spawned_at=draft.at
    )
    draft.worker(worker)
    draft.change(next_worker=worker.id + 1)
    draft.do(SpawnWorker(worker.id, slot, wanted, gated=wanted == state.candidate))


def _drain_reason(state: State, worker: Worker) -> str:
    if worker.generation == state.candidate and worker.is_ready:
        return reason_to_recycle(worker)
    if worker.generation == state.current:
        return reason_to_recycle(worker) if state.phase is not Phase.RELOADING or worker.retiring else "reload"
    return "rolled back" if worker.generation > (state.current or 0) else "reload"
