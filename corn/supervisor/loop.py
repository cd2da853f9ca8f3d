"""Event loop of the master: waits for signals, messages, exits and deadlines, and runs the policy on them.

Each of them becomes an event; the policy decides on it, and the loop carries out the actions. Nothing else blocks the
loop. Messages and exits are handled before deadlines, so that after a pause of the master or the machine no worker is
blamed for the time in which the master did not run.

Invariant: no exception of a collaborator ends the loop (fault_barrier.py). Only a failed decision on a stop does.
"""

from __future__ import annotations

import selectors
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Protocol

from corn.errors import CornError, ExitCode, exit_code_of, explain
from corn.supervisor.children.child import Children
from corn.supervisor.fault_barrier import FaultBarrier
from corn.supervisor.policy import events
from corn.supervisor.policy.actions import Action, Exit, SpawnTemplate, SpawnWorker
from corn.supervisor.policy.deadlines import next_wake
from corn.supervisor.policy.decide import decide
from corn.supervisor.policy.state import ProcessExit, Settings, State
from corn.supervisor.projections.history import History, continued, with_refused_configuration

_FAULT_PAUSE = 0.05  # seconds of pause after a fault, so that a recurring fault does not use a whole CPU


class Periodic(Protocol):
    """Periodic task of the loop."""

    def next_at(self) -> float | None:
        """The monotonic time at which `tick` has something to do, None for never."""
        ...

    def tick(self, now: float) -> None:
        """Do the work that is due."""
        ...


class StateObserver(Protocol):
    """Observer that receives the state before and after each decision."""

    def observe(self, before: State, after: State, at: float) -> None: ...


class Loop:
    """Runs the policy against the operating system until it decides to exit.

    `periodic`, `observers` and `performers` (the function for each kind of action) are filled in before `run`.
    """

    def __init__(self, settings: Settings) -> None:
        self.state = State(settings=settings, target=settings.workers)
        self.history = History()
        self.selector = selectors.DefaultSelector()
        self.barrier = FaultBarrier()
        self.children = Children(self.selector, self.barrier)
        self.periodic: list[Periodic] = []
        self.observers: list[StateObserver] = []
        self.performers: dict[type[Action], Callable[..., None]] = {Exit: self._exit}
        self._exit_code: int | None = None
        self._queue: deque[events.Event] = deque()

    def run(self) -> int:
        """Serve until the policy decides to exit; returns the exit code."""
        self.handle(events.Started(time.monotonic()))
        while self._exit_code is None:
            faults = self.barrier.faults
            for key, mask in self.selector.select(self._timeout()):
                self.barrier.call("a callback of the loop", partial(key.data, mask))
            for each in self.periodic:
                self.barrier.call(type(each).__name__, partial(each.tick, time.monotonic()))
            self.handle(events.Tick(time.monotonic()))
            if self.barrier.faults > faults:
                time.sleep(_FAULT_PAUSE)
        return self._exit_code

    def _timeout(self) -> float | None:
        now = time.monotonic()
        times = [self.barrier.call("the policy's next deadline", partial(next_wake, self.state, now))]
        times += [self.barrier.call(type(each).__name__, each.next_at) for each in self.periodic]
        wake = min((each for each in times if each is not None), default=None)
        return None if wake is None else max(0.0, wake - now)

    def handle(self, event: events.Event) -> None:
        """Pass an event to the policy and carry out its decision; events that this causes are handled next."""
        self._queue.append(event)
        if len(self._queue) > 1:
            return
        while self._queue:
            try:
                self._decide(self._queue[0])
            finally:
                self._queue.popleft()

    def configuration_refused(self, why: str) -> None:
        """Record a reload that did not begin, because its configuration cannot be used."""
        self.history = with_refused_configuration(self.history, why, time.monotonic())

    def _decide(self, event: events.Event) -> None:
        before = self.state
        decision = self.barrier.call(f"the decision on {type(event).__name__}", partial(decide, before, event))
        if decision is None:
            if isinstance(event, events.StopRequested):
                self._exit_code = int(ExitCode.INTERNAL)
            return
        self.state, actions = decision
        self.history = continued(self.history, before, self.state, event.at)
        for observer in self.observers:
            self.barrier.call(type(observer).__name__, partial(observer.observe, before, self.state, event.at))
        for action in actions:
            self._perform(action)

    def _perform(self, action: Action) -> None:
        """Carry out an action; a failed start of a process becomes an event, as its exit does."""
        perform = partial(self.performers[type(action)], action)
        if not isinstance(action, (SpawnTemplate, SpawnWorker)):
            self.barrier.call(f"the action {type(action).__name__}", perform)
            return
        try:
            perform()
        except Exception as error:
            self._not_started(action, error)

    def _not_started(self, action: SpawnTemplate | SpawnWorker, error: Exception) -> None:
        at, code = time.monotonic(), int(exit_code_of(error))
        why = explain(error) if isinstance(error, OSError) else str(error)
        if not isinstance(error, (OSError, CornError)):
            why = f"internal error: {error!r}"
        if isinstance(action, SpawnWorker):
            self.handle(events.WorkerNotForked(at, action.worker, why, code))
        else:
            self.handle(events.TemplateFailed(at, action.generation, why, "", code))
            self.handle(events.TemplateExited(at, action.generation, ProcessExit(code=code)))

    def _exit(self, action: Exit) -> None:
        self._exit_code = action.code
