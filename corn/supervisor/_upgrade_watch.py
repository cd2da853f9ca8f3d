"""The old master's side of an upgrade: it starts a successor, and hears whether that serves."""

from __future__ import annotations

import selectors
import time
from collections.abc import Callable, Sequence

from corn.errors import CornError
from corn.net.listeners import Listener
from corn.supervisor.control.server import ControlServer
from corn.supervisor.policy.events import Event, SuccessorFailed, SuccessorReady
from corn.supervisor.systemd import SystemdNotifier
from corn.supervisor.upgrade import Successor, execute_successor
from corn.tls.credentials import Vault


class UpgradeMonitor:
    """At most one successor at a time. `handle` is told how it went."""

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
        """Execute a new master that inherits the listeners, the control socket and the vault of certificates."""
        try:
            self._successor = execute_successor(listeners, self._control.rendezvous, vault)
        except CornError as error:
            self._handle(SuccessorFailed(time.monotonic(), str(error)))
            return
        self._selector.register(self._successor, selectors.EVENT_READ, self._hear)

    def stop(self) -> None:
        """Have the successor leave."""
        if self._successor is not None:
            self._drop(self._successor, stop=True)

    def _hear(self, mask: int) -> None:
        del mask
        successor = self._successor
        if successor is None:
            return
        serves = successor.serves()
        self._drop(successor, stop=not serves)
        if serves:
            self._control.leave(keep_file=True)
            self._service_manager.main_is(successor.pid)
        at = time.monotonic()
        failed = SuccessorFailed(at, "the new master ended or gave up before it served")
        self._handle(SuccessorReady(at) if serves else failed)

    def _drop(self, successor: Successor, *, stop: bool) -> None:
        self._selector.unregister(successor)
        if stop:
            successor.stop()
        successor.close()
        self._successor = None
