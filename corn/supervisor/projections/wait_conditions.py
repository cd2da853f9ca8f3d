"""Conditions of commands that wait: each is checked on every change of the state until it is met or has failed. Pure.

A condition is created before the policy handles the command's event, and checks every later state. It has no reference
to the waiting client, so a client that has disconnected costs nothing but the check.
"""

from __future__ import annotations

from typing import Protocol

from corn.frozen import frozen
from corn.supervisor.policy.state import Phase, Stage, State, Worker


@frozen
class Outcome:
    """Outcome of a command: one line, and details such as a traceback."""

    ok: bool
    text: str
    detail: str = ""


class WaitCondition(Protocol):
    """Condition that a command waits for."""

    def check(self, before: State, after: State) -> Outcome | None:
        """The outcome, once a change has brought it about."""


STOPS = Outcome(False, "the service is stopping")


@frozen
class Reloaded:
    """The next generation from `first` on serves, or was refused."""

    first: int

    def check(self, before: State, after: State) -> Outcome | None:
        if after.current is not None and after.current >= self.first:
            return Outcome(True, f"reloaded: generation {after.current} serves")
        if before.candidate is not None and before.candidate >= self.first and after.candidate != before.candidate:
            if _stops(after):
                return STOPS
            return Outcome(False, f"reload refused, {after.kept}: {after.last_error}", after.last_detail)
        return STOPS if _stops(after) else None


@frozen
class CodeReloaded:
    """In development: the newest revision from `first` on serves, or cannot be served."""

    first: int

    def check(self, before: State, after: State) -> Outcome | None:
        del before
        if _stops(after):
            return STOPS
        if after.revision < self.first or not after.announced:
            return None
        if after.broken is None:
            return Outcome(True, f"reloaded: generation {after.revision} serves")
        return Outcome(False, f"generation {after.revision} failed to start: {after.broken.error}", after.broken.detail)


@frozen
class AllServedBy:
    """Every slot is served by a generation, and no other worker accepts connections; `what` reports the success."""

    generation: int
    what: str

    def check(self, before: State, after: State) -> Outcome | None:
        del before
        if _stops(after):
            return STOPS
        if after.current != self.generation:
            return Outcome(False, f"superseded: generation {after.current} is current now")
        ready = {each.slot for each in after.ready() if each.generation == self.generation}
        others = [each for each in after.workers.values() if each.generation != self.generation]
        if len(ready) < after.target or any(each.is_live or _may_accept(each) for each in others):
            return None
        return Outcome(True, self.what)


@frozen
class Scaled:
    """The requested number of workers serves, and no more."""

    target: int

    def check(self, before: State, after: State) -> Outcome | None:
        del before
        if _stops(after):
            return STOPS
        if after.target != self.target:
            return Outcome(False, f"superseded: the target is {after.target} workers now")
        served = {each.slot for each in after.ready()}
        return Outcome(True, f"{self.target} workers serve") if served == set(range(self.target)) else None


@frozen
class Replaced:
    """A slot is served by another worker than those, none of which accepts connections."""

    slot: int
    workers: frozenset[int]

    def check(self, before: State, after: State) -> Outcome | None:
        del before
        if _stops(after):
            return STOPS
        if self.slot >= after.target:
            return Outcome(False, f"superseded: worker {self.slot} was scaled down")
        serving = [each for each in after.in_slot(self.slot) if each.is_ready and each.id not in self.workers]
        if not serving or any(_may_accept(each) for each in after.workers.values() if each.id in self.workers):
            return None
        return Outcome(True, f"worker {self.slot} is process {serving[0].pid} now")


@frozen
class Exited:
    """A worker's process has exited."""

    worker: int
    name: str

    def check(self, before: State, after: State) -> Outcome | None:
        if self.worker in after.workers:
            return None
        last = before.workers.get(self.worker)
        forced = last is not None and last.stage in (Stage.KILLING, Stage.ABORTING)
        how = "was killed: it did not exit within its grace period" if forced else "has exited"
        return Outcome(not forced, f"{self.name} {how}")


@frozen
class Stopped:
    """All processes but the master itself have exited."""

    def check(self, before: State, after: State) -> Outcome | None:
        del before
        return Outcome(True, "stopped") if after.phase is Phase.STOPPED else None


@frozen
class HandedOver:
    """A new master serves, and no worker of this one accepts connections; or the new master has failed."""

    def check(self, before: State, after: State) -> Outcome | None:
        if after.handed_over:
            all_closed = not any(map(_may_accept, after.workers.values()))
            return Outcome(True, "upgraded: the new master serves") if all_closed else None
        if before.upgrading and not after.upgrading:
            return Outcome(False, f"upgrade failed, the old master continues to serve: {after.last_error}")
        return None


def _may_accept(worker: Worker) -> bool:
    """True if a worker is ready, or if it drains or is stuck and has not reported that it closed its listeners."""
    return worker.accepts and worker.stage in (Stage.READY, Stage.STUCK, Stage.DRAINING)


def _stops(state: State) -> bool:
    return state.phase in (Phase.STOPPING, Phase.STOPPED)
