"""Receiver of the master's signals, which translates each of them into a request."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable
from functools import partial

from corn.errors import ConfigError
from corn.supervisor.fault_barrier import FaultBarrier
from corn.supervisor.policy import events
from corn.supervisor.process.signals import Signals


class SignalReceiver:
    """Dispatcher of signals: to `handle` as events, or to `reap`, `reload` and `reopen_logs`."""

    def __init__(
        self,
        signals: Signals,
        handle: Callable[[events.Event], None],
        barrier: FaultBarrier,
        *,
        reap: Callable[[], None],
        reload: Callable[[float], None],
        reopen_logs: Callable[[], object],
    ) -> None:
        self._signals = signals
        self._handle = handle
        self._barrier = barrier
        self._reload = reload
        self._reopen_logs = reopen_logs
        self._reap = reap
        self._must_reap = False
        self._by_number: dict[int, Callable[[], object]] = {
            signal.SIGHUP: self._hang_up,
            signal.SIGUSR1: self._reopen_logs,
            signal.SIGUSR2: self._upgrade,
            signal.SIGTTIN: partial(self._scale, 1),
            signal.SIGTTOU: partial(self._scale, -1),
        }

    def receive(self) -> None:
        """Act on the signals that have arrived; never waits."""
        self.receive_requests()
        self.tick(0.0)

    def receive_requests(self) -> None:
        """As `receive`, but leave exits to `tick`, so that the caller can first pass on the messages of a child."""
        for number in self._signals.arrived():
            if number == signal.SIGCHLD:
                self._must_reap = True
            else:
                self._barrier.call(f"the answer to {number.name}", partial(self._act, number))

    def next_at(self) -> float | None:
        return 0.0 if self._must_reap else None

    def tick(self, now: float) -> None:
        """Reap the children that have exited."""
        del now
        if self._must_reap:
            self._must_reap = False
            self._reap()

    def _act(self, number: signal.Signals) -> None:
        act = self._by_number.get(number)
        if act is not None:
            act()
        else:
            self._handle(events.StopRequested(time.monotonic(), number.name))

    def _hang_up(self) -> None:
        with contextlib.suppress(ConfigError):  # logged already
            self._reload(time.monotonic())

    def _upgrade(self) -> None:
        self._handle(events.UpgradeRequested(time.monotonic()))

    def _scale(self, delta: int) -> None:
        self._handle(events.ScaleRequested(time.monotonic(), delta))
