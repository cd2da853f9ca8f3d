"""Forked children of a worker: processes that the application forks get none of corn's resources.

A child of fork(2), as by multiprocessing, inherits the worker's signal handlers and the descriptor that wakes its event
loop, so a signal to the child would reach the worker. It inherits the listeners, and would keep the port in use after
corn has exited; client connections, which would stay open when the worker closes them; and the worker's channel.
Executed programs inherit none of these: execve(2) resets handlers and closes corn's descriptors.

Descriptors are replaced by /dev/null instead of closed, because Python objects of the child still own their numbers.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import signal
import socket
import stat
import sys
import threading
from collections.abc import Iterable, Sequence

from corn.ipc.messages import STACKS_SIGNAL
from corn.system.process import BY_WORKERS, ignore_signal, name_process, show_title
from corn.worker.audit.descriptors import numbers
from corn.worker.audit.fault_handler import FaultHandler

_OF_THE_LOOP = (signal.SIGTERM, signal.SIGQUIT)


class ForkedChildren:
    """Prepares each child that this process forks from now on, but not the children of such a child."""

    def __init__(self, descriptors: Iterable[int], listeners: Sequence[socket.socket], faults: FaultHandler) -> None:
        self._pid = os.getpid()
        self._faults = faults
        self._descriptors = [*descriptors, *(each.fileno() for each in listeners)]
        self._addresses = {(each.family, _name(each)) for each in listeners}
        self._masks: dict[int, set[int]] = {}  # of the threads that are forking
        os.register_at_fork(before=self._block, after_in_parent=self._unblock, after_in_child=self._release)

    def _block(self) -> None:
        """Block signals, so that none reaches a child before its handlers are reset."""
        if os.getpid() == self._pid:
            before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
            self._masks[threading.get_ident()] = {*before}

    def _unblock(self) -> None:
        if os.getpid() == self._pid:
            self._unblock_signals()

    def _release(self) -> None:
        if threading.get_ident() not in self._masks:  # not getppid(2): this process may already be an orphan
            return
        try:
            self._reset_signals()
            self._drop_descriptors()
            name = os.path.basename(sys.executable)  # noqa: PTH119 - in every child
            name_process(name)
            show_title(f"{name}: child of worker {self._pid}")
        finally:
            self._unblock_signals()
            self._masks.clear()  # of threads that this process does not have

    def _unblock_signals(self) -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, self._masks.pop(threading.get_ident()))

    def _reset_signals(self) -> None:
        signal.set_wakeup_fd(-1)
        faulthandler.unregister(STACKS_SIGNAL)
        self._faults.withdraw()
        signal.signal(STACKS_SIGNAL, signal.SIG_DFL)
        for number in _OF_THE_LOOP:
            signal.signal(number, signal.SIG_DFL)
        for number in BY_WORKERS:
            if signal.getsignal(number) is ignore_signal:
                is_interrupt = number == signal.SIGINT
                signal.signal(number, signal.default_int_handler if is_interrupt else signal.SIG_DFL)

    def _drop_descriptors(self) -> None:
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        for fd in [*self._descriptors, *(fd for fd in numbers() if self._is_client(fd))]:
            with contextlib.suppress(OSError):
                os.dup2(null, fd, inheritable=False)
        os.close(null)

    def _is_client(self, fd: int) -> bool:
        """True for a connection that was accepted from a listener: it has the listener's address, and a peer."""
        try:
            if not stat.S_ISSOCK(os.fstat(fd).st_mode):
                return False
            with socket.socket(fileno=os.dup(fd)) as sock:
                return (sock.family, _name(sock)) in self._addresses and sock.type == socket.SOCK_STREAM
        except OSError:
            return False


def _name(sock: socket.socket) -> object:
    """The port, or the path."""
    name = sock.getsockname()
    return name[1] if isinstance(name, tuple) else name
