"""Simulated templates and workers: they speak the real protocol over real socket pairs, and fail in every way."""

from __future__ import annotations

import os
import select
import signal
import socket
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from corn.ipc.channel import Channel
from corn.ipc.messages import (
    STACKS_SIGNAL,
    Booting,
    Drain,
    Draining,
    Exited,
    Failed,
    Fork,
    Forked,
    Loaded,
    Message,
    NotForked,
    Quit,
    Ready,
    Retiring,
    SteppedDown,
)
from corn.ipc.scoreboard import Field, Scoreboard
from corn.ipc.stack_report import LAST_LINE
from corn.ipc.template_setup import Setup
from tests.support.simulation.kernel import Kernel, Process

_DELAYS = (0.0, 0.0, 0.0005, 0.003, 0.02, 0.1, 0.6, 1.5)
_EXIT = 256  # wait status of exit code 1


@dataclass(frozen=True)
class Code:
    """A version of the application, and what it does: `template` and `worker` name the failure of each, "" for none."""

    version: int
    template: str = ""
    worker: str = ""

    @property
    def is_good(self) -> bool:
        return not self.template and not self.worker


GOOD = Code(0)
TEMPLATE_FAILURES = ("fails", "exits", "is killed", "hangs", "steps down")
WORKER_FAILURES = ("fails", "exits", "is killed", "hangs", "crashes when ready")


@dataclass
class World:
    """Simulated machine: the code on its disk, its speed, and its processes."""

    kernel: Kernel
    slots: Callable[[], Scoreboard]
    relay: bool
    code: Code = GOOD
    pace: float = 1.0
    not_forked: float = 0.0  # probability that a fork fails
    templates: list[Template] = field(default_factory=list)
    workers: list[Worker] = field(default_factory=list)
    _ends: select.poll = field(default_factory=select.poll)  # of the channels, those that the processes hold

    def pause(self) -> float:
        """Duration of the next step of a process."""
        return self.kernel.random.choice(_DELAYS) * self.pace

    def chance(self, probability: float) -> bool:
        return self.kernel.random.random() < probability

    def spawned(self, setup_fd: int) -> Process:
        """The template that the master executes."""
        setup = Setup.read(os.dup(setup_fd))
        template = Template(self, setup)
        self.templates.append(template)
        return template.process

    def run(self) -> None:
        """Deliver to the processes what was sent to them, and send heartbeats; called each time the master waits."""
        self.deliver()
        for worker in self.running_workers():
            worker.beat()

    def deliver(self) -> None:
        """Have the processes read what was sent to them."""
        if readable := {fd for fd, _ in self._ends.poll(0)}:
            for each in [*self.running_templates(), *self.running_workers()]:
                if each.channel.fileno() in readable:
                    each.notice()

    def watch(self, fd: int) -> None:
        self._ends.register(fd, select.POLLIN)

    def unwatch(self, fd: int) -> None:
        self._ends.unregister(fd)

    def running_templates(self) -> list[Template]:
        return [each for each in self.templates if each.process.runs]

    def running_workers(self) -> list[Worker]:
        return [each for each in self.workers if each.process.runs]


class _Peer:
    """End of a channel that a process holds; it reads a moment after data has arrived."""

    def __init__(self, world: World, fd: int) -> None:
        self.world = world
        self._socket = socket.socket(fileno=fd)
        self._socket.setblocking(False)
        world.watch(fd)
        self.channel = Channel(self._socket)
        self.process: Process
        self._reads = False

    def notice(self) -> None:
        """Read what has arrived, a moment later."""
        if not self._reads and not self.channel.closed:
            self._reads = True
            self.world.kernel.after(self.world.pause() / 20, self._read)

    def _read(self) -> None:
        if not self.process.runs:
            return
        if self.process.stopped or self.is_busy():
            self.world.kernel.after(0.2, self._read)
            return
        self._reads = False
        for message in self.channel.receive():
            self.receive(message)
        if self.channel.closed and self.process.runs:
            self.world.unwatch(self.channel.fileno())  # its end stays readable
            self.world.kernel.after(self.world.pause(), self.lost)

    def is_busy(self) -> bool:
        """True while it reads nothing."""
        return False

    def is_heard(self) -> bool:
        """True if the master holds the other end of the channel."""
        other_end = select.poll()
        other_end.register(self.channel.fileno(), 0)
        return not other_end.poll(0)  # POLLHUP is reported unasked

    def receive(self, message: Message) -> None:
        raise NotImplementedError

    def lost(self) -> None:
        """The master has closed the channel."""
        self.exit(0)

    def exit(self, status: int) -> None:
        self.world.kernel.end(self.process, status)

    def close(self) -> None:
        """Close this end of the channel, as the exit of the process does."""
        if not self.channel.closed:
            self.world.unwatch(self.channel.fileno())
        self.channel.close()

    def step(self, action: Callable[[], None], seconds: float | None = None) -> None:
        """Do something later, if the process still runs then; a stopped one does it once it goes on."""

        def act() -> None:
            if self.process.stopped and self.process.runs:
                self.world.kernel.after(0.2, act)
            elif self.process.runs:
                action()

        self.world.kernel.after(self.world.pause() if seconds is None else seconds, act)


class Template(_Peer):
    """Template that loads the code on disk and forks workers on request."""

    def __init__(self, world: World, setup: Setup) -> None:
        super().__init__(world, os.dup(setup.channel))
        self.generation = setup.generation
        self.code = world.code
        self._orders: deque[tuple[Fork, int, int]] = deque()
        self._forks = False
        self.process = world.kernel.start(f"template {setup.generation}", self._signalled, self._ended)
        self.step(self._load)

    def _load(self) -> None:
        self.code = self.world.code
        match self.code.template:
            case "fails":
                self.channel.send(Failed("no such module", "", 3))
                self.step(lambda: self.exit(3 * _EXIT))
            case "exits":
                self.exit(self.world.kernel.random.choice((0, _EXIT, 11)))
            case "is killed":
                self.exit(signal.SIGKILL)
            case "hangs":
                pass
            case "steps down":
                self.channel.send(SteppedDown("it runs a thread"))
                self.step(self._loaded)
            case _:
                self.step(self._loaded)

    def _loaded(self) -> None:
        self.channel.send(Loaded("app", []))

    def receive(self, message: Message) -> None:
        if isinstance(message, Fork):
            self._orders.append((message, self.channel.take_fd(), self.channel.take_fd()))
            self._go_on()
        elif isinstance(message, Quit):
            self.step(self._quit)

    def _quit(self) -> None:
        """Exit, but not before the workers where it is their parent."""
        if any(each.process.parent is self.process for each in self.world.running_workers()):
            self.step(self._quit, 0.05)
        else:
            self.exit(0)

    def lost(self) -> None:
        self._quit()

    def _go_on(self) -> None:
        if not self._forks and self._orders:
            self._forks = True
            self.step(self._fork, self.world.pause() / 10)

    def _fork(self) -> None:
        order, channel, report = self._orders.popleft()
        if self.world.chance(self.world.not_forked):
            os.close(channel)
            os.close(report)
            self.channel.send(NotForked(order.worker, "Resource temporarily unavailable"))
            self._done()
            return
        parent = self.process if self.world.relay else None
        worker = Worker(self.world, order, channel, report, self.code, parent, self)
        self.world.workers.append(worker)
        if not self.world.relay and self.world.chance(self.world.not_forked):
            self.channel.send(NotForked(order.worker, "the process that forks it died"))
            self._done()
        else:
            self.step(lambda: self._forked(order.worker, worker), self.world.pause() / 20)

    def _forked(self, number: int, worker: Worker) -> None:
        self.channel.send(Forked(number, worker.process.pid))
        worker.is_reported = True
        self._done()

    def _done(self) -> None:
        self._forks = False
        self._go_on()

    def relay_exit(self, worker: Worker) -> None:
        """Report the exit of a worker, where the template is its parent."""
        if self.process.runs and worker.process.status is not None:
            self.channel.send(Exited(worker.process.pid, worker.process.status))
            self.world.kernel.processes.pop(worker.process.pid, None)

    def _signalled(self, number: int) -> None:
        if number in (signal.SIGTERM, signal.SIGINT, signal.SIGABRT):
            self.exit(number)

    def _ended(self) -> None:
        for _, channel, report in self._orders:
            os.close(channel)
            os.close(report)
        self._orders.clear()
        self.close()


class Worker(_Peer):
    """Worker that boots, serves, drains, and fails as the schedule demands."""

    def __init__(
        self,
        world: World,
        order: Fork,
        channel: int,
        report: int,
        code: Code,
        parent: Process | None,
        template: Template,
    ) -> None:
        super().__init__(world, channel)
        self.number = order.worker
        self.code = code
        self.is_reported = False  # the master was sent its process id
        self.was_ready = False
        self.ready_reported = False  # and the master was sent that
        self.blocked_until = 0.0
        self.never_exits = False
        self._report = report
        self._template = template
        self._cell = order.cell
        self._drains = False
        self.process = world.kernel.start(
            f"worker {order.worker} in slot {order.slot}", self._signalled, self._ended, parent
        )
        self.step(self._boot, self.world.pause() / 10)

    def is_busy(self) -> bool:
        return self.world.kernel.now < self.blocked_until

    def beat(self) -> None:
        if not self.process.stopped and not self.is_busy():
            words = self.world.slots().cell(self._cell).words
            words[Field.HEARTBEAT_MS] = int(self.world.kernel.now * 1000)

    def _boot(self) -> None:
        self.channel.send(Booting(self.process.pid))
        self.is_reported |= self.is_heard()
        match self.code.worker:
            case "fails":
                self.step(self._fail)
            case "exits":
                self.step(lambda: self.exit(self.world.kernel.random.choice((0, _EXIT))))
            case "is killed":
                self.step(lambda: self.exit(11))
            case "hangs":
                pass
            case _:
                self.step(self._serve)

    def _fail(self) -> None:
        self.channel.send(Failed("lifespan startup failed", "", 3))
        self.step(lambda: self.exit(3 * _EXIT))

    def _serve(self) -> None:
        if self._drains:
            return
        self.was_ready = True
        self.beat()
        self.channel.send(Ready())
        self.ready_reported = self.is_heard()
        if self.code.worker == "crashes when ready":
            self.step(lambda: self.exit(11))

    def receive(self, message: Message) -> None:
        if isinstance(message, Drain) and not self._drains:
            self._drains = True
            self.step(self._drain, 0.0)

    def _drain(self) -> None:
        self.channel.send(Draining())
        if not self.never_exits:
            self.step(lambda: self.exit(0))

    def retire(self) -> None:
        """Request a replacement."""
        self.channel.send(Retiring("it has served 1000 requests"))

    def write_garbage(self) -> None:
        """Write bytes that are not a message to the channel, as a child of the application may by mistake."""
        self._socket.send(b"hello\n")

    def block(self, seconds: float) -> None:
        """Block the event loop."""
        self.blocked_until = self.world.kernel.now + seconds

    def _signalled(self, number: int) -> None:
        if number == signal.SIGABRT:
            self.exit(signal.SIGABRT)
        elif number == STACKS_SIGNAL:
            os.write(self._report, f"File main.py, line 1\n{LAST_LINE}[]\n".encode())
        elif number in (signal.SIGTERM, signal.SIGINT):
            self.step(lambda: self.channel.send(Retiring(signal.Signals(number).name)), 0.0)

    def _ended(self) -> None:
        self.close()
        os.close(self._report)
        if self.process.parent is not None:
            self.world.kernel.after(self.world.pause() / 20, lambda: self._template.relay_exit(self))
