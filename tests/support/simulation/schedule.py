"""One random schedule of the master: troubles, what must hold at each step, and what must hold at the end."""

from __future__ import annotations

import gc
import logging
import os
import random
import signal
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from corn.config import Config
from corn.errors import ConfigError
from corn.supervisor.configuration.reload import Origins, settings_of
from corn.supervisor.control.server import Answer
from corn.supervisor.development import NoDevelopment
from corn.supervisor.executor import Executor
from corn.supervisor.instance import Instance
from corn.supervisor.loop import Loop
from corn.supervisor.policy.state import Phase, State
from corn.supervisor.process.signals import Signals
from corn.supervisor.process.systemd import SystemdNotifier
from corn.supervisor.projections.status import About
from corn.supervisor.projections.wait_conditions import WaitCondition
from tests.support.simulation.invariants import Invariants
from tests.support.simulation.kernel import Kernel, SimulatedSelector, Violation
from tests.support.simulation.processes import TEMPLATE_FAILURES, WORKER_FAILURES, Code, Worker, World

_SETTLES_WITHIN = 300.0  # seconds: backoffs of up to 30 s, and boots that hang for --timeout-boot
_STOPS_WITHIN = 60.0
_LOGGER = logging.getLogger("corn")


@dataclass
class _Client:
    """Client of a command that does not wait for the outcome."""

    kernel: Kernel

    def send(self, answer: Answer) -> None:
        self.kernel.note(f"answer {str(answer)[:120]}")

    def wait(self, wish: WaitCondition) -> None:
        del wish

    def observe(self, before: State, after: State) -> None:
        del before, after


@dataclass(frozen=True)
class Outcome:
    """Result of a schedule: `violation` is "" if all invariants held, `workers` is the number of workers."""

    seed: int
    violation: str
    trace: list[str]
    troubles: Counter[str]
    workers: int


class Schedule(logging.Handler):
    """Master on a simulated machine, with the faults that a seed selects."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.seed = seed
        self.random = random.Random(seed)
        self.kernel = Kernel(self.random)
        self.world = World(self.kernel, lambda: self.executor.slots, relay=self.random.random() < 0.2)
        self.world.pace = self.random.choice((0.05, 0.3, 1.0))
        self.kernel.spawned = self.world.spawned
        self.config = self._config()
        self.is_readable = True  # the configuration, at the next reload
        self.healed_at: float | None = None
        self.stopped_at: float | None = None
        self.lines: list[str] = []
        self.troubles: Counter[str] = Counter()
        self._versions = 0

    def run(self) -> Outcome:
        """Run the schedule until the master exits."""
        self.invariants = Invariants(self.kernel, self.world)
        level, propagate = _LOGGER.level, _LOGGER.propagate
        _LOGGER.setLevel(logging.DEBUG)
        _LOGGER.propagate = False
        _LOGGER.addHandler(self)
        violation = ""
        try:
            with self.kernel.installed(self._selector):
                code = self._serve()
            if not self.kernel.violations:
                self.invariants.check_end(code, self.lines, requested=self.stopped_at is not None)
        except Violation as error:
            violation = str(error)
        finally:
            _LOGGER.removeHandler(self)
            _LOGGER.setLevel(level)
            _LOGGER.propagate = propagate
        if violation:
            gc.collect()  # what the schedule that was cut short has left open counts for no other
        violation = violation or next(iter(self.kernel.violations), "")
        return Outcome(self.seed, violation, self.kernel.trace, self.troubles, len(self.world.workers))

    # The master

    def _config(self) -> Config:
        choose = self.random.choice
        return Config(
            app="main:app",
            preload="app",
            workers=choose((1, 2, 3, 4)),
            timeout_boot=20.0,
            timeout_worker=choose((0.0, 4.0, 10.0)),
            timeout_graceful_shutdown=choose((1.0, 5.0)),
            timeout_lifespan_shutdown=1.0,
            drain_delay=choose((0.0, 0.0, 2.0)),
            soak=choose((0.0, 0.5)),
            rollback_window=choose((0.0, 2.0, 20.0)),
            min_worker_lifetime=choose((0.0, 1.0)),
            limit_lifetime=choose((None, None, 5.0)),
        )

    def _selector(self) -> SimulatedSelector:
        return SimulatedSelector(self.kernel, self._before_wait, self._deliver)

    def _deliver(self, numbers: list[int]) -> None:
        os.write(self._signals._writer, bytes(numbers))

    def _serve(self) -> int:
        self._signals = signals = Signals()
        loop = self.loop = Loop(settings_of(self.config))
        self.executor = Executor(self.config, [], loop.children, relay=self.world.relay, development=NoDevelopment())
        about = About("0", 4711, "main:app", (), self.kernel.now)
        self.instance = Instance(
            self.config,
            loop,
            self.executor,
            NoDevelopment(),
            SystemdNotifier({}),
            about=about,
            control_socket=None,
            reread=self._reread,
            admin=[],
            origins=Origins(),
        )
        self._plan()
        try:
            return self.instance.run(signals, lambda preload: None)
        finally:
            self.instance.finish()
            for handle in [*self.executor.workers.values(), *self.executor.templates.values()]:
                loop.children.drop(handle)
            os.close(signals._reader)
            os.close(signals._writer)

    def _reread(self) -> Config:
        if not self.is_readable:
            raise ConfigError("corn.toml, line 3: no option is named prot")
        return self.config

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        self.lines.append(text)
        self.kernel.note(f"{record.levelname}: {text}")
        if record.exc_info:
            self.kernel.violate(f"a fault of corn's own: {text}: {record.exc_info[1]!r}")

    # Troubles

    def _plan(self) -> None:
        kernel, span = self.kernel, self.random.choice((0.5, 5.0, 20.0))
        if self.random.random() < 0.1:
            self._deploy(self._bad())
        for _ in range(self.random.randrange(1, 14)):
            kernel.after(self.random.random() * span, self._trouble)
        if self.random.random() < 0.15:
            kernel.after(self.random.random() * span, self._stop)
        kernel.after(span, self._heal)

    def _trouble(self) -> None:
        kinds: dict[str, Callable[[], None]] = {
            "kill a worker": lambda: self._send(signal.SIGKILL, self.world.running_workers()),
            "kill all workers": self._kill_all,
            "worker crashes": lambda: self._with_worker(lambda each: each.exit(self.random.choice((11, 6, 256)))),
            "worker exits in order": lambda: self._with_worker(lambda each: each.exit(0)),
            "ask a worker to leave": lambda: self._send(signal.SIGTERM, self.world.running_workers()),
            "stop a worker": lambda: self._send(signal.SIGSTOP, self.world.running_workers()),
            "block a worker": lambda: self._with_worker(lambda each: each.block(self.random.choice((3.0, 8.0, 1e9)))),
            "worker never exits": lambda: self._with_worker(lambda each: setattr(each, "never_exits", True)),
            "worker retires": lambda: self._with_ready(Worker.retire),
            "worker writes garbage": lambda: self._with_ready(Worker.write_garbage),
            "kill a template": lambda: self._send(signal.SIGKILL, self.world.running_templates()),
            "stop a template": lambda: self._send(signal.SIGSTOP, self.world.running_templates()),
            "good deploy": self._good_deploy,
            "bad deploy": self._bad_deploy,
            "storm of reloads": self._storm,
            "unreadable configuration": self._unreadable,
            "one more": lambda: self.kernel.signal_master(signal.SIGTTIN),
            "one fewer": lambda: self.kernel.signal_master(signal.SIGTTOU),
            "reopen the logs": lambda: self.kernel.signal_master(signal.SIGUSR1),
            "command": self._command,
            "no process can be started": lambda: setattr(self.kernel, "spawn_fails", 0.5),
            "forks fail": lambda: setattr(self.world, "not_forked", 0.4),
            "a stranger gets an old id": self._stranger,
            "orphans of the application end": self._orphans,
        }
        kind = self.random.choice(list(kinds))
        self.troubles[kind] += 1
        self.kernel.note(f"FAULT: {kind}")
        kinds[kind]()

    def _with_worker(self, do: Callable[[Worker], None]) -> None:
        if workers := self.world.running_workers():
            do(self.random.choice(workers))

    def _with_ready(self, do: Callable[[Worker], None]) -> None:
        if workers := [each for each in self.world.running_workers() if each.was_ready]:
            do(self.random.choice(workers))

    def _send(self, number: int, processes: list) -> None:  # type: ignore[type-arg]
        if processes:
            self.kernel.deliver(self.random.choice(processes).process, number)

    def _kill_all(self) -> None:
        for worker in self.world.running_workers():
            self.kernel.deliver(worker.process, signal.SIGKILL)

    def _bad(self) -> tuple[str, str]:
        if self.random.random() < 0.5:
            return self.random.choice(TEMPLATE_FAILURES), ""
        return "", self.random.choice(WORKER_FAILURES)

    def _deploy(self, failures: tuple[str, str] = ("", "")) -> None:
        self._versions += 1
        self.world.code = Code(self._versions, *failures)
        self.kernel.note(f"the disk holds {self.world.code}")

    def _good_deploy(self) -> None:
        self._deploy()
        self.kernel.signal_master(signal.SIGHUP)

    def _bad_deploy(self) -> None:
        self._deploy(self._bad())
        self.kernel.signal_master(signal.SIGHUP)

    def _storm(self) -> None:
        for number in range(20):
            self.kernel.after(self.world.pause() * number / 10, lambda: self.kernel.signal_master(signal.SIGHUP))

    def _unreadable(self) -> None:
        self.is_readable = False
        self.kernel.signal_master(signal.SIGHUP)

    def _command(self) -> None:
        slot, state = self.random.randrange(4), self.loop.state
        request = self.random.choice(
            (
                {"do": "reload"},
                {"do": "rollback"},
                {"do": "restart", "worker": slot},
                {"do": "drain", "worker": slot},
                {"do": "scale", "workers": self.random.randrange(1, 5)},
                {"do": "status"},
                {"do": "stacks"},
                {"do": "requests"},
            )
        )
        self.kernel.note(f"command {request} in phase {state.phase.value}")
        self.instance.commands.answer(request, _Client(self.kernel))

    def _stranger(self) -> None:
        """A process that is none of corn's gets the id of one that was."""
        self.kernel.start("stranger", lambda number: None, lambda: None)

    def _orphans(self) -> None:
        """Programs that workers have started and left behind: the master, a subreaper, reaps them."""
        for _ in range(5):
            orphan = self.kernel.start("orphan", lambda number: None, lambda: None)
            self.kernel.after(self.world.pause(), lambda orphan=orphan: self.kernel.end(orphan, 0))  # type: ignore[misc]

    def _stop(self) -> None:
        """Request a stop, once or more often."""
        self.stopped_at = self.kernel.now
        for number in self.random.choice(
            ([signal.SIGTERM], [signal.SIGINT], [signal.SIGQUIT], [signal.SIGINT] * 3, [signal.SIGTERM, signal.SIGHUP])
        ):
            self.kernel.after(self.world.pause(), lambda number=number: self.kernel.signal_master(number))  # type: ignore[misc]

    def _heal(self) -> None:
        """End the troubles: good code on disk, processes that continue, and a last reload."""
        self.healed_at = self.kernel.now
        self.kernel.note("HEALED")
        self.kernel.spawn_fails = self.world.not_forked = 0.0
        self.is_readable = True
        for each in [*self.world.running_templates(), *self.world.running_workers()]:
            self.kernel.deliver(each.process, signal.SIGCONT)
        for worker in self.world.running_workers():
            worker.never_exits = False
            if self.config.timeout_worker == 0:
                worker.blocked_until = 0.0
        self._good_deploy()

    # What must hold

    def _before_wait(self) -> None:
        self.world.run()
        if self.kernel.violations:
            raise Violation(self.kernel.violations[0])
        if self.loop.barrier.faults:
            raise Violation("an exception of a collaborator")
        self.invariants.check_state(self.loop.state)
        now = self.kernel.now
        if self.stopped_at is not None:
            if now > self.stopped_at + _STOPS_WITHIN:
                raise Violation(f"the master has not exited {_STOPS_WITHIN:g} s after a stop was requested")
        elif self.healed_at is not None:
            if self._is_settled():
                self.kernel.note("SETTLED")
                self._stop()
            elif now > self.healed_at + _SETTLES_WITHIN:
                raise Violation(f"the service does not settle within {_SETTLES_WITHIN:g} s: {self.loop.state}")

    def _is_settled(self) -> bool:
        state = self.loop.state
        workers = self.world.running_workers()
        return (
            state.phase is Phase.RUNNING
            and state.queued_reload is None
            and state.can_fork(state.current)
            and len(state.workers) == len(state.ready()) == len(workers) == state.target
            and {worker.slot for worker in state.ready()} == set(range(state.target))
            and all(worker.code == self.world.code for worker in workers)
            and not self.kernel.signals
        )


def run_schedule(seed: int) -> Outcome:
    """Run one schedule."""
    return Schedule(seed).run()
