"""Periodic sampling of the workers' heartbeats, load and memory.

After a pause of the master or of the machine, heartbeats are ignored until the workers have had time for another one.

RSS counts shared pages in full for each worker, so a limit on RSS would replace workers for memory that their template
owns. PSS (proportional set size, system/memory.py) divides shared pages between the processes, but the kernel walks the
page tables to compute it. RSS is never less than PSS and is cheap to read: so RSS is sampled, and PSS is read only if
RSS exceeds a limit.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping

from corn.ipc.scoreboard import Field
from corn.supervisor.executor import Executor
from corn.supervisor.policy.events import Event, HeartbeatsSeen, LoadSampled, MemorySampled
from corn.supervisor.policy.state import Settings, Stage, State
from corn.system.cpu import cpu_seconds
from corn.system.memory import proportional_size, resident_size

_MEMORY_INTERVAL = 1.0
_LOAD_INTERVAL = 1.0
_LAG_WEIGHT = 0.3  # of a new sample
_LAG_MOST = 0.25  # seconds, so that one long block does not count for many seconds
_MEMORY_INTERVAL_OVER_LIMIT = 0.2
_RECOVERY_TIME = 2.0
_DRAIN_INTERVAL = 0.25
_CHECKED_STAGES = (Stage.READY, Stage.STUCK, Stage.DRAINING)


class Sampler:
    """Takes each sample when it is due, and passes it to `handle`; `state` gives the state of the policy."""

    def __init__(
        self,
        executor: Executor,
        memory: MemorySampler,
        state: Callable[[], State],
        handle: Callable[[Event], None],
    ) -> None:
        self._executor = executor
        self._memory = memory
        self._state = state
        self._handle = handle
        self._last_heartbeats = self._next_heartbeats = self._next_memory = time.monotonic()
        self._paused_until = 0.0
        self._next_load = time.monotonic()
        self._cpu: dict[int, tuple[float, float]] = {}  # by worker: time of the last sample, and its CPU time
        self._lags: dict[int, float] = {}  # by worker, moving average in seconds

    def next_at(self) -> float | None:
        """Time of the next sample, None if there is nothing to sample."""
        state, times = self._state(), []
        if state.workers and (state.settings.timeout_worker > 0 or _is_draining(state)):
            times.append(self._next_heartbeats)
        if state.workers and _has_memory_limit(state.settings):
            times.append(self._next_memory)
        if state.workers and _scales(state.settings):
            times.append(self._next_load)
        return min(times, default=None)

    def tick(self, now: float) -> None:
        """Take the samples that are due."""
        if self._next_heartbeats <= now and (self._state().settings.timeout_worker > 0 or _is_draining(self._state())):
            self._sample_heartbeats(self._state(), now)
        if self._next_memory <= now and _has_memory_limit(self._state().settings):
            self._sample_memory(self._state(), now)
        if self._next_load <= now and _scales(self._state().settings):
            self._sample_load(self._state(), now)

    def _sample_load(self, state: State, now: float) -> None:
        """Pass on the load of the workers that were ready at the last sample too.

        Lags are averaged over some seconds: the lag of one tick is anything up to the duration of the call that blocks
        the event loop at that time, also if such calls follow each other without a pause.
        """
        self._next_load = now + _LOAD_INTERVAL
        before, self._cpu = self._cpu, {}
        lags_before, self._lags = self._lags, {}
        shares = []
        for worker in state.ready():
            seconds = None if worker.pid is None else cpu_seconds(worker.pid)
            handle = self._executor.workers.get(worker.id)
            if seconds is None or handle is None:
                continue
            self._cpu[worker.id] = (now, seconds)
            if worker.id in before and now > before[worker.id][0]:
                at, spent = before[worker.id]
                shares.append((seconds - spent) / (now - at))
                lag = min(_LAG_MOST, self._executor.slots.cell(handle.cell).words[Field.LAG_US] / 1_000_000)
                last = lags_before.get(worker.id, 0.0)
                self._lags[worker.id] = last + _LAG_WEIGHT * (lag - last)
        if shares:
            self._handle(LoadSampled(now, sum(shares) / len(shares), sum(self._lags.values()) / len(shares)))

    def _sample_heartbeats(self, state: State, now: float) -> None:
        limit = state.settings.timeout_worker
        every = min(_DRAIN_INTERVAL if _is_draining(state) else 1.0, max(0.05, limit / 10) if limit > 0 else 1.0)
        if state.workers and now - self._last_heartbeats > 2 * every + 1.0:
            self._paused_until = now + _RECOVERY_TIME
        self._last_heartbeats, self._next_heartbeats = now, now + every
        if now >= self._paused_until:
            self._handle(HeartbeatsSeen(now, self._ages(state, now)))

    def _ages(self, state: State, now: float) -> dict[int, float]:
        ages = {}
        for worker in state.workers.values():
            handle = self._executor.workers.get(worker.id)
            if handle is None or worker.stage not in _CHECKED_STAGES:
                continue
            words = self._executor.slots.cell(handle.cell).words
            if worker.stage is Stage.DRAINING and not worker.accepts and not words[Field.ACTIVE]:
                continue  # its connections are closed; the lifespan shutdown of an application may block
            since = worker.since if worker.stage is Stage.READY else 0.0
            ages[worker.id] = now - max(words[Field.HEARTBEAT_MS] / 1000, since)
        return ages

    def _sample_memory(self, state: State, now: float) -> None:
        ready = {worker.id: worker.pid for worker in state.ready() if worker.pid is not None}
        others = [each.pid for each in self._executor.templates.values() if each.pid is not None]
        sizes, total = self._memory.sample(ready, others, state.settings)
        is_over = any(worker.over_memory for worker in state.ready())
        self._next_memory = now + (_MEMORY_INTERVAL_OVER_LIMIT if is_over else _MEMORY_INTERVAL)
        self._handle(MemorySampled(now, sizes, total))


def _scales(settings: Settings) -> bool:
    return settings.max_workers > settings.workers


def _is_draining(state: State) -> bool:
    return any(worker.stage is Stage.DRAINING for worker in state.workers.values())


def _has_memory_limit(settings: Settings) -> bool:
    return any((settings.limit_memory, settings.limit_memory_hard, settings.limit_memory_total))


_KEPT_SAMPLES = 5


class MemorySampler:
    """Samples processes by id; forgets those that are no longer requested."""

    def __init__(self) -> None:
        self._history: dict[int, deque[int]] = {}

    def sample(self, workers: Mapping[int, int], others: list[int], settings: Settings) -> tuple[dict[int, int], int]:
        """Bytes for each worker (given as number: process id), and for all of them and the others together.

        A figure below all limits may be an RSS, which is higher than the PSS.
        """
        self._forget_all_but({*workers.values(), *others})
        sizes = {number: resident_size(pid) or 0 for number, pid in workers.items()}
        rest = {pid: resident_size(pid) or 0 for pid in others}
        total = sum(sizes.values()) + sum(rest.values())
        limits = [limit for limit in (settings.limit_memory, settings.limit_memory_hard) if limit is not None]
        is_over_total = settings.limit_memory_total is not None and total > settings.limit_memory_total
        for number, pid in workers.items():
            if is_over_total or (limits and sizes[number] > min(limits)):
                sizes[number] = proportional_size(pid) or 0
            self._history.setdefault(pid, deque(maxlen=_KEPT_SAMPLES)).append(sizes[number])
        if is_over_total:
            total = sum(sizes.values()) + sum((proportional_size(pid) or 0) for pid in others)
        return sizes, total

    def history(self, pid: int) -> list[int]:
        """The last samples of a process, in bytes, oldest first."""
        return list(self._history.get(pid, ()))

    def _forget_all_but(self, pids: set[int]) -> None:
        for exited in self._history.keys() - pids:
            del self._history[exited]
