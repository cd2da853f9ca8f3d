"""Binary upgrade (USR2): a new master takes the sockets over, and the old one exits when the new one serves.

The old master executes its own command line again, so a new version of corn, a new Python at the same path and changed
options all take effect. The listening sockets are inherited by number and listed in an environment variable; the new
master uses those that its configuration names. When all its workers are ready, it writes one byte into a pipe. Only
then does the old master stop, as on SIGTERM, but it leaves the connections in the accept queues and the files of Unix
sockets to the new one. If the pipe closes without that byte, the old master continues to serve.

Rejected: nginx's procedure, in which two masters run until an operator sends further signals to end one of them.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import dataclass

from corn.errors import CornError
from corn.net.listeners import Listener
from corn.supervisor.control.server import ControlServer
from corn.supervisor.control.socket_file import ControlSocket, taken_over
from corn.supervisor.policy.events import Event, SuccessorFailed, SuccessorReady
from corn.supervisor.process.systemd import SystemdNotifier
from corn.system.paths import in_start_directory
from corn.tls.credentials import Credentials
from corn.tls.vault import Vault

_VARIABLE = "_CORN_TAKES_OVER"


@dataclass(slots=True)
class Successor:
    """The old master's handle on the new one: its process id, and the pipe on which it reports that it serves."""

    pid: int
    pipe: int

    def fileno(self) -> int:
        return self.pipe

    def serves(self) -> bool:
        """True if the new master has reported that it serves; to be called when the pipe can be read."""
        return bool(os.read(self.pipe, 1))

    def stop(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)

    def close(self) -> None:
        os.close(self.pipe)


def execute_successor(
    listeners: Sequence[Listener], control_socket: ControlSocket | None, vault: Vault | None
) -> Successor:
    """Start a new master that inherits this one's descriptors. Raises CornError if that fails."""
    if os.getpid() == 1:
        raise CornError("process 1 of a container cannot be replaced: the container would end; start another container")
    try:
        reader, writer = os.pipe()
    except OSError as error:
        raise CornError(f"the new master could not be executed: {error.strerror}") from error
    inherited = [writer, *(listener.sock.fileno() for listener in listeners)]
    handed = [(listener.requested, listener.sock.fileno()) for listener in listeners]
    note = {"pipe": writer, "listeners": handed, "master": os.getpid(), "control": None}
    if control_socket is not None:
        inherited.append(control_socket.sock.fileno())
        note["control"] = control_socket.note()
    if vault is not None:
        inherited.append(vault.fd)
        note["vault"] = vault.fd
    environment = {**os.environ, _VARIABLE: json.dumps(note)}
    for fd in inherited:
        os.set_inheritable(fd, True)
    try:
        signals = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}
        with in_start_directory():
            pid = os.posix_spawn(
                sys.executable, [sys.executable, *sys.orig_argv[1:]], environment, setsigmask=[], setsigdef=signals
            )
    except OSError as error:
        os.close(reader)
        raise CornError(f"the new master could not be executed: {error.strerror}") from error
    finally:
        for fd in inherited:
            os.set_inheritable(fd, False)
        os.close(writer)
    return Successor(pid, reader)


class Predecessor:
    """The new master's view of the old one: the sockets it handed over, and the pipe to answer on.

    `pid` is the old one's process id, None for a master without a predecessor. `credentials` are those that it
    serves HTTPS with.
    """

    def __init__(self, environ: MutableMapping[str, str]) -> None:
        """Remove the variable from the environment, so that no other process inherits it."""
        note = json.loads(environ.pop(_VARIABLE, "null")) or {"pipe": None, "listeners": [], "master": None}
        self.control_socket = taken_over(note.get("control"))
        self.pid: int | None = note["master"]
        self._pipe: int | None = note["pipe"]
        self.credentials = _credentials_in(note.get("vault"))
        self.sockets: list[tuple[str, socket.socket]] = []
        if self._pipe is not None:
            os.set_inheritable(self._pipe, False)
        for requested, fd in note["listeners"]:
            os.set_inheritable(fd, False)
            self.sockets.append((requested, socket.socket(fileno=fd)))

    def report_ready(self) -> None:
        """Report once that this master serves; a predecessor that has exited is ignored."""
        if self._pipe is not None:
            with contextlib.suppress(OSError):
                os.write(self._pipe, b"1")
            os.close(self._pipe)
            self._pipe = None


def _credentials_in(fd: int | None) -> Credentials | None:
    if fd is None:
        return None
    vault = Vault(fd)
    try:
        return vault.load()
    finally:
        vault.close()


class UpgradeMonitor:
    """Starts at most one successor at a time; the outcome is passed to `handle`."""

    def __init__(
        self,
        selector: selectors.BaseSelector,
        control: ControlServer,
        service_manager: SystemdNotifier,
        handle: Callable[[Event], None],
    ) -> None:
        self._selector = selector
        self._control = control
        self._service_manager = service_manager
        self._handle = handle
        self._successor: Successor | None = None

    def start(self, listeners: Sequence[Listener], vault: Vault | None) -> None:
        """Execute a new master, which inherits the listeners, the control socket and the certificates."""
        try:
            self._successor = execute_successor(listeners, self._control.control_socket, vault)
        except CornError as error:
            self._handle(SuccessorFailed(time.monotonic(), str(error)))
            return
        self._selector.register(self._successor, selectors.EVENT_READ, self._receive)

    def stop(self) -> None:
        """Stop the successor."""
        if self._successor is not None:
            self._drop(self._successor, stop=True)

    def _receive(self, mask: int) -> None:
        del mask
        successor = self._successor
        if successor is None:
            return
        serves = successor.serves()
        self._drop(successor, stop=not serves)
        if serves:
            self._control.stop_listening(keep_file=True)
            self._service_manager.announce_main(successor.pid)
        at = time.monotonic()
        failed = SuccessorFailed(at, "the new master exited before it was ready")
        self._handle(SuccessorReady(at) if serves else failed)

    def _drop(self, successor: Successor, *, stop: bool) -> None:
        self._selector.unregister(successor)
        if stop:
            successor.stop()
        successor.close()
        self._successor = None
