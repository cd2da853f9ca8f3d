"""Invariants of a schedule: of the state of the master at each step, and of what is left at its end.

Those of docs/explanation/architecture.md, as far as they concern workers and templates.
"""

from __future__ import annotations

import re
from collections import Counter

from corn.errors import ExitCode
from corn.supervisor.policy.state import Phase, Stage, State
from tests.support.descriptors import descriptors
from tests.support.simulation.kernel import Kernel, Violation
from tests.support.simulation.processes import World

_NOT_CORNS = ("stranger", "orphan")


class Invariants:
    """Checks that raise `Violation`."""

    def __init__(self, kernel: Kernel, world: World) -> None:
        self._kernel = kernel
        self._world = world
        self._descriptors = _descriptors()
        self._ready_before: set[int] = set()

    def check_state(self, state: State) -> None:
        for worker in state.workers.values():
            is_withdrawn = worker.generation not in (state.current, state.candidate)
            if is_withdrawn and worker.is_live and not worker.is_ready and state.can_fork(state.current):
                raise Violation(f"{worker} boots, and its generation was withdrawn")
        if state.phase in (Phase.RUNNING, Phase.RELOADING):
            self._check_capacity(state)
            self._check_slots(state)
            self._check_known(state)

    def _check_capacity(self, state: State) -> None:
        """No ready worker is drained for a deploy before another is ready in its place, or for a lower number of
        workers before enough others are."""
        served = {worker.slot for worker in state.ready()}
        for worker in state.workers.values():
            is_drained = worker.id in self._ready_before and worker.stage is Stage.DRAINING
            is_missed = worker.slot < state.target and worker.slot not in served
            if is_drained and is_missed and worker.reason in ("reload", "rolled back"):
                raise Violation(f"{worker} was drained, and no other was ready in its place")
            if is_drained and worker.reason == "scaled down" and len(served) < state.target <= worker.slot:
                raise Violation(f"{worker} was drained, and too few others were ready")
        self._ready_before = {worker.id for worker in state.ready()}

    def _check_slots(self, state: State) -> None:
        """Each slot that can be filled is filled."""
        for slot in range(state.target):
            restarts = state.restarts.get(slot)
            is_due = restarts is None or restarts.not_before <= self._kernel.now - 1
            if not state.in_slot(slot) and state.can_fork(state.current) and is_due:
                raise Violation(f"slot {slot} is empty, and could be filled")

    def _check_known(self, state: State) -> None:
        """The state holds no worker that the master has reaped."""
        for worker in state.workers.values():
            is_reaped = worker.pid is not None and worker.pid not in self._kernel.processes
            if is_reaped and not (self._world.relay and worker.stage is Stage.KILLING):
                raise Violation(f"{worker} is in the state, and was reaped")

    def check_end(self, code: int, lines: list[str], *, requested: bool) -> None:
        """The master has exited: by request or for a reason that it logged, and nothing of it is left."""
        if not requested and not any(line.startswith(("could not start", "gave up")) for line in lines):
            raise Violation(f"the master exited with code {code}, and nothing says why")
        if code not in (0, 130, ExitCode.APPLICATION, ExitCode.GAVE_UP):
            raise Violation(f"exit code {code}")
        self._world.deliver()  # the ends of their channels
        deadline = self._kernel.now + 30
        while self._left() and self._kernel.advance(deadline):
            self._world.deliver()
        if left := self._left():
            raise Violation(f"processes that outlive the master: {left}")
        if left_open := _descriptors() - self._descriptors:
            raise Violation(f"descriptors that were left open: {sorted(left_open)}")
        self._check_explained(lines)

    def _left(self) -> list[str]:
        return [each.kind for each in self._kernel.processes.values() if each.runs and each.kind not in _NOT_CORNS]

    def _check_explained(self, lines: list[str]) -> None:
        """Each exit of a worker whose process id was reported is logged, once, with its cause.

        A line on a start or a reload that failed stands for one worker that never got ready: it has no process id.
        """
        text = "\n".join(lines)
        logged = Counter(re.findall(r"pid (\d+)\) (?:exited|crashed): ", text))
        by_pid = Counter(worker.process.pid for worker in self._world.workers)
        of_boots = sum(
            bool(re.match(r"could not start: |reload failed: |worker \d+ .* failed: ", each)) for each in lines
        )
        for worker in self._world.workers:
            pid = worker.process.pid
            if logged[str(pid)] > by_pid[pid]:
                raise Violation(f"the end of worker process {pid} was logged {logged[str(pid)]} times")
            if logged[str(pid)] or not worker.is_reported or _is_given_up(pid, text):
                continue
            if worker.ready_reported or not of_boots:
                raise Violation(f"nothing in the log says why the worker process {pid} ended")
            of_boots -= 1


def _is_given_up(pid: int, text: str) -> bool:
    was_late = re.search(rf"worker process {pid}(?:: it)? was forked too late", text) is not None
    return was_late or f"pid {pid}) did not exit on SIGKILL" in text


def _descriptors() -> Counter[str]:
    """Open descriptors, without the memory of scoreboards, which the garbage collector frees."""
    return Counter({link: count for link, count in descriptors().items() if "corn-slots" not in link})
