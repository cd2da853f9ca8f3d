"""Child processes of the master: their start, their channels, and their stop.

A child is executed with one end of a channel. The loop passes its messages and its exit to the callbacks that the owner
of the child has set. Data from a child is not trusted: invalid lines are logged and may end the child, but never the
master.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from corn.ipc.channel import Channel
from corn.ipc.messages import Message, Quit
from corn.logs import logger
from corn.supervisor.fault_barrier import FaultBarrier
from corn.supervisor.policy.state import ProcessExit
from corn.supervisor.process.reaper import exit_of
from corn.system.readiness import readable

_MAX_INVALID_LINES = 1000  # invalid lines after which a child is killed


def _receives_nothing(message: Message) -> None:
    del message


def _ends_undetected(end: ProcessExit) -> None:
    del end


def _does_nothing() -> None:
    pass


@dataclass(slots=True, eq=False)
class ChildProcess:
    """Child process: its channel, and the callbacks for its messages and its exit.

    `what` names it in the log. `pid` is None until it is known. `on_invalid_line` is called once, with the first
    invalid line; without this callback the child is killed. `on_read` is called after received messages have been
    passed on.
    """

    what: str
    channel: Channel
    pid: int | None = None
    on_message: Callable[[Message], None] = _receives_nothing
    on_exit: Callable[[ProcessExit], None] = _ends_undetected
    on_invalid_line: Callable[[bytes], None] | None = None
    on_read: Callable[[], None] = _does_nothing
    invalid_lines: int = field(default=0, init=False)

    def signal(self, number: int) -> None:
        """Send a signal to the process, unless it has exited or its process id is not known yet."""
        if self.pid is not None:
            # The process has not been reaped here, so its id is not reused; its template may have reaped it.
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


def start_channel(execute: Callable[[socket.socket], int]) -> tuple[int, Channel]:
    """Start a process that inherits the other end of a channel; returns its id and this end.

    Raises what `execute` raises, and OSError if no descriptor is left.
    """
    ours, theirs = socket.socketpair()
    try:
        with theirs:
            pid = execute(theirs)
    except BaseException:
        ours.close()
        raise
    ours.setblocking(False)
    return pid, Channel(ours, passes_fds=False)


class Children:
    """Registry of the child processes. `before_each` is called before each message or exit is passed on."""

    def __init__(self, selector: selectors.BaseSelector, barrier: FaultBarrier) -> None:
        self.before_each: Callable[[], None] = lambda: None
        self._selector = selector
        self._barrier = barrier
        self._by_pid: dict[int, ChildProcess] = {}

    def start(self, child: str, execute: Callable[[socket.socket], int]) -> ChildProcess:
        """Start a process and listen to it; the caller sets the callbacks. Raises as `start_channel` does."""
        pid, channel = start_channel(execute)
        started = ChildProcess(child, channel, pid)
        self.add(started)
        return started

    def add(self, child: ChildProcess) -> None:
        """Listen to a child."""
        self._watch(child)
        if child.pid is not None:
            self._by_pid[child.pid] = child

    def identify(self, child: ChildProcess, pid: int) -> None:
        """Record the process id of a child that was added without one."""
        child.pid = pid
        self._by_pid[pid] = child

    def has(self, pid: int) -> bool:
        """True if the process of an id is one of these children."""
        return pid in self._by_pid

    def send(self, child: ChildProcess, message: Message, fds: tuple[int, ...] = ()) -> None:
        """Send a message, or queue it while the channel is full; a message to an exited child is lost."""
        if not child.channel.closed:
            child.channel.send(message, fds)
            self._watch(child)

    def drop(self, child: ChildProcess) -> None:
        """Close the channel, and forget the child."""
        self._unwatch(child)
        child.channel.close()
        if child.pid is not None and self._by_pid.get(child.pid) is child:
            del self._by_pid[child.pid]

    def exited(self, pid: int, end: ProcessExit) -> bool:
        """Pass on the last messages of a process, then its exit; False if the process is not registered."""
        child = self._by_pid.pop(pid, None)
        if child is None:
            return False
        self.receive(child)
        self._barrier.call(f"the exit of {child.what}", partial(child.on_exit, end))
        return True

    def receive(self, child: ChildProcess) -> None:
        """Pass on the messages that a child has sent so far."""
        if child.channel.fileno() < 0:
            return
        child.channel.flush()
        for message in child.channel.receive():
            self.before_each()
            self._barrier.call(f"the {type(message).__name__} of {child.what}", partial(child.on_message, message))
        if child.channel.invalid_lines:
            self._blame(child)
        if child.channel.fileno() >= 0:  # not dropped meanwhile
            if child.channel.closed:
                self._unwatch(child)
            else:
                self._watch(child)
        self._barrier.call(f"what {child.what} has sent", child.on_read)

    def stop(self, child: ChildProcess, timeout: float) -> None:
        """Request a child to exit, and kill it after `timeout`; for use after the loop has ended."""
        child.channel.send(Quit())
        deadline = time.monotonic() + timeout
        while not child.channel.closed and (left := deadline - time.monotonic()) > 0:
            readable(child.channel, timeout=left)
            child.channel.receive()
        self.kill(child)

    def kill(self, child: ChildProcess) -> ProcessExit:
        """Kill, reap and drop a child; returns its exit."""
        self.drop(child)
        if child.pid is not None:
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(child.pid, signal.SIGKILL)
                return exit_of(os.waitpid(child.pid, 0)[1])
        return ProcessExit()

    def _watch(self, child: ChildProcess) -> None:
        """Register a channel for reading, and also for writing while it has unsent data."""
        if child.channel.fileno() < 0 or self._selector.get_map() is None:  # closed, as the selector is at the end
            return
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if child.channel.wants_write else 0)
        if child.channel.fileno() not in self._selector.get_map():
            self._selector.register(child.channel, wanted, partial(self._ready, child))
        elif self._selector.get_key(child.channel).events != wanted:
            self._selector.modify(child.channel, wanted, self._selector.get_key(child.channel).data)

    def _unwatch(self, child: ChildProcess) -> None:
        if self._selector.get_map() is not None and child.channel.fileno() in self._selector.get_map():
            self._selector.unregister(child.channel)

    def _ready(self, child: ChildProcess, mask: int) -> None:
        del mask
        self.receive(child)

    def _blame(self, child: ChildProcess) -> None:
        """Log the first invalid line of a child and request its replacement; kill a child that sends more of them."""
        lines, first = len(child.channel.invalid_lines), child.channel.invalid_lines[0]
        child.channel.invalid_lines.clear()
        is_first, child.invalid_lines = child.invalid_lines == 0, child.invalid_lines + lines
        if is_first:
            logger.error("%s sent invalid data on its channel to the master: %.80r", child.what, first)
            if child.on_invalid_line is not None:
                self._barrier.call(f"the fault of {child.what}", partial(child.on_invalid_line, first))
        if child.on_invalid_line is None or child.invalid_lines > _MAX_INVALID_LINES or child.channel.overflowed:
            child.signal(signal.SIGKILL)
