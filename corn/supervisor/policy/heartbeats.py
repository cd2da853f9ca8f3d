"""What the age of a worker's heartbeat means. Pure.

The heartbeat is written by the event loop, so its age is how long the loop has not turned. At half of `timeout_worker`
the worker is asked for its stacks, once, and goes on. At the limit it is stuck: another takes its place at once, and it
is aborted (its fault handler writes the stacks of all threads) when that one is ready, or after a few seconds if none
comes. One whose loop turns again before that is not needed any more, so it finishes what it has and leaves.

A worker that is slow but turns is never touched. Nor is any when the master itself has been away: see loop.py, which
asks nobody's age after a pause of its own.
"""

from __future__ import annotations

from corn.supervisor.policy.actions import AbortWorker, DumpWorker, Level
from corn.supervisor.policy.events import HeartbeatsSeen
from corn.supervisor.policy.state import ABORT_TIMEOUT, Stage, Worker
from corn.supervisor.policy.transition import Transition, drain

REPLACED_WITHIN = 5.0


def heartbeats_seen(draft: Transition, event: HeartbeatsSeen) -> None:
    limit = draft.state.settings.timeout_worker
    for number, age in event.ages.items():
        worker = draft.state.workers.get(number)
        if worker is None or limit <= 0:
            continue
        if worker.is_ready:
            _judge_ready(draft, worker, age, limit)
        elif worker.stage is Stage.STUCK and age < limit / 2:
            draft.say(Level.WARNING, f"{worker} turns again; it is replaced all the same")
            drain(draft, worker, worker.reason)


def abort_the_replaced(draft: Transition) -> None:
    """Abort the stuck workers whose slot is served by another now."""
    for worker in list(draft.state.workers.values()):
        if worker.stage is Stage.STUCK and any(each.is_ready for each in draft.state.in_slot(worker.slot)):
            abort(draft, worker)


def abort(draft: Transition, worker: Worker) -> None:
    draft.worker(worker, stage=Stage.ABORTING, since=draft.at, deadline=draft.at + ABORT_TIMEOUT)
    draft.do(AbortWorker(worker.id))


def _judge_ready(draft: Transition, worker: Worker, age: float, limit: float) -> None:
    if age >= limit:
        reason = f"stuck: its event loop has not turned for {age:.1f} s"
        draft.say(Level.ERROR, f"{worker} is {reason}; it is replaced, and aborted for its stacks")
        draft.worker(worker, stage=Stage.STUCK, since=draft.at, deadline=draft.at + REPLACED_WITHIN, reason=reason)
    elif age >= limit / 2 and not worker.lagging:
        draft.say(Level.WARNING, f"{worker} has not turned its event loop for {age:.1f} s; its stacks follow")
        draft.worker(worker, lagging=True)
        draft.do(DumpWorker(worker.id))
    elif age < limit / 2 and worker.lagging:
        draft.say(Level.INFO, f"{worker} turns its event loop again")
        draft.worker(worker, lagging=False)
