"""Scaling by load: the number of workers, where the settings give a range. Pure.

    busy    CPU usage of the ready workers, averaged; or event loops that are late all the time, as with blocking calls,
            which use no CPU
    grows   by one worker, when they were busy for GROW_AFTER consecutive seconds
    shrinks by one worker, when one fewer would not have been busy for SHRINK_AFTER consecutive seconds

Each step waits until every slot is served again, so that its effect can be measured. The number does not change during
a reload, a start or a stop, nor after an operator has set it (until the next reload).
"""

from __future__ import annotations

from corn.supervisor.policy.actions import Level
from corn.supervisor.policy.events import LoadSampled
from corn.supervisor.policy.state import Phase, Settings, State
from corn.supervisor.policy.transition import Transition

BUSY = 0.75
LATE = 0.05  # seconds, on average: calls of 0.1 s and more that block the event loop most of the time
IDLE = 0.5  # at most, for one worker fewer
GROW_AFTER = 5.0
SHRINK_AFTER = 60.0


def load_sampled(draft: Transition, event: LoadSampled) -> None:
    state, settings = draft.state, draft.state.settings
    if not _may_scale(state):
        draft.change(busy_since=None, idle_since=None)
        return
    is_busy = event.busy >= BUSY or event.lag >= LATE
    is_idle = state.target > settings.workers and _busy_with_one_fewer(state, event.busy) <= IDLE and not is_busy
    draft.change(
        busy_since=(state.busy_since or draft.at) if is_busy else None,
        idle_since=(state.idle_since or draft.at) if is_idle else None,
    )
    busy_since, idle_since = draft.state.busy_since, draft.state.idle_since
    load = f"the event loops are {event.busy:.0%} busy, and {event.lag * 1000:.0f} ms late"
    if busy_since is not None and draft.at - busy_since >= GROW_AFTER and state.target < settings.max_workers:
        _scale(draft, 1, load)
    elif idle_since is not None and draft.at - idle_since >= SHRINK_AFTER:
        _scale(draft, -1, load)


def target_of(state: State, settings: Settings) -> int:
    """The number of workers under other settings: the requested one, or the one that the load determined."""
    if state.scaled is not None:
        return state.scaled
    return max(settings.workers, min(state.target, settings.max_workers))


def _may_scale(state: State) -> bool:
    if state.settings.max_workers <= state.settings.workers or state.scaled is not None:
        return False
    is_settled = state.phase is Phase.RUNNING and state.stop_at is None
    return is_settled and len(state.served_slots()) == state.target


def _busy_with_one_fewer(state: State, busy: float) -> float:
    return busy * state.target / (state.target - 1)


def _scale(draft: Transition, by: int, why: str) -> None:
    target = draft.state.target + by
    draft.log(Level.INFO, f"scaling from {draft.state.target} to {target} workers: {why}")
    draft.change(target=target, busy_since=None, idle_since=None)
