"""What the shell looks at from time to time, because nothing tells it: heartbeats and memory.

After a pause of its own (it was stopped, or the machine was) the master knows nothing of what the workers' heartbeats
would have been, so it asks for no ages until they have had time to beat again.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from corn.ipc.scoreboard import Field
from corn.supervisor.executor import Executor
from corn.supervisor.monitoring.memory import MemorySampler
from corn.supervisor.policy.events import Event, HeartbeatsSeen, MemorySampled
from corn.supervisor.policy.state import Settings, Stage, State

_MEMORY_EVERY = 1.0
_MEMORY_EVERY_WHEN_OVER = 0.2
_CATCH_BREATH = 2.0
_JUDGED = (Stage.READY, Stage.STUCK)


class Sampler:
    """Knows when each round is due, and makes it."""

    def __init__(self, executor: Executor, vitals: MemorySampler) -> None:
        self._executor = executor
        self._vitals = vitals
        self._last_look = self._next_look = self._next_sample = time.monotonic()
        self._blind_until = 0.0

    def next_at(self, state: State) -> float | None:
        """When the next round is due, None if there is nothing to look at."""
        times = []
        if state.workers and state.settings.timeout_worker > 0:
            times.append(self._next_look)
        if state.workers and _has_memory_limit(state.settings):
            times.append(self._next_sample)
        return min(times, default=None)

    def due(self, state: State, now: float) -> Iterator[Event]:
        """The events of the rounds that are due."""
        if self._next_look <= now and state.settings.timeout_worker > 0:
            yield from self._look(state, now)
        if self._next_sample <= now and _has_memory_limit(state.settings):
            yield self._sample(state, now)

    def _look(self, state: State, now: float) -> Iterator[Event]:
        every = min(1.0, max(0.05, state.settings.timeout_worker / 10))
        if state.workers and now - self._last_look > 2 * every + 1.0:
            self._blind_until = now + _CATCH_BREATH
        self._last_look, self._next_look = now, now + every
        if now >= self._blind_until:
            yield HeartbeatsSeen(now, self._ages(state, now))

    def _ages(self, state: State, now: float) -> dict[int, float]:
        ages = {}
        for worker in state.workers.values():
            handle = self._executor.workers.get(worker.id)
            if handle is not None and worker.stage in _JUDGED:
                beat = self._executor.slots.cell(handle.cell).words[Field.HEARTBEAT_MS]
                ages[worker.id] = now - max(beat / 1000, 0.0 if worker.stage is Stage.STUCK else worker.since)
        return ages

    def _sample(self, state: State, now: float) -> Event:
        ready = {worker.id: worker.pid for worker in state.ready() if worker.pid is not None}
        others = [handle.pid for handle in self._executor.templates.values()]
        sizes, total = self._vitals.sample(ready, others, state.settings)
        is_over = any(worker.over_memory for worker in state.ready())
        self._next_sample = now + (_MEMORY_EVERY_WHEN_OVER if is_over else _MEMORY_EVERY)
        return MemorySampled(now, sizes, total)


def _has_memory_limit(settings: Settings) -> bool:
    return any((settings.limit_memory, settings.limit_memory_hard, settings.limit_memory_total))
