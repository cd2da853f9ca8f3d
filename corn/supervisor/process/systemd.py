"""sd_notify(3) client: sends notices to the service manager, such as systemd, that started corn (NOTIFY_SOCKET).

A notice is one datagram, and sending never waits: one that the manager does not take at once is kept and retried, in
order. Without NOTIFY_SOCKET no notice is sent.

A successor (USR2) becomes the service's main process when its predecessor has sent MAINPID. With NotifyAccess=main the
manager drops its notices before that, so the successor repeats all of them a little later.
"""

from __future__ import annotations

import array
import os
import socket
import time
from collections import deque
from collections.abc import MutableMapping, Sequence

from corn.logs import logger
from corn.net.listeners import Listener
from corn.net.socket_activation import stored_name
from corn.supervisor.policy.state import Phase, State
from corn.supervisor.projections.sd_notify import is_healthy, notices, refused_reload, status_line

# Variables for the master alone: a worker's notice to the manager would count as the service's.
VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")

_RETRY = 0.1
_MAX_UNSENT = 64
_REPEAT_AFTER = 2.0
_PINGS = 3  # watchdog pings per timeout of the manager

Datagram = tuple[bytes, tuple[socket.socket, ...]]


class SystemdNotifier:
    """Sender of notices. Times are monotonic, in seconds. `is_successor`: another master served before."""

    def __init__(self, environ: MutableMapping[str, str], *, is_successor: bool = False) -> None:
        self._address = _address(environ.get("NOTIFY_SOCKET", ""))
        self._ping_interval = _watchdog_period(environ) if self._address else None
        self._next_ping = 0.0
        self._repeat_at: float | None = None
        self._is_successor = is_successor
        self._stored: dict[str, tuple[socket.socket, ...]] = {}
        self._unsent: deque[Datagram] = deque()
        self._is_unreachable = False
        self._state: State | None = None
        self._socket: socket.socket | None = None
        if self._address:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)

    def store(self, listeners: Sequence[Listener], outdated: set[str]) -> None:
        """Store corn's own listeners with the manager (FDSTORE=1) for the next master, should this one be killed."""
        for name in sorted(outdated):
            self._send(f"FDSTOREREMOVE=1\nFDNAME={name}")
        for listener in listeners:
            if not listener.passed:
                name = stored_name(listener.requested)
                self._stored[name] = (*self._stored.get(name, ()), listener.sock)
        self._send_stored()

    def observe(self, before: State, after: State, at: float) -> None:
        """Send the notices that follow from a decision."""
        self._state = after
        if self._socket is None or before is after:
            return
        for notice in notices(before, after, at):
            self._send(notice)
            if notice == "STOPPING=1":
                self._forget_stored()
        if self._is_successor and before.phase is Phase.STARTING and after.phase is not Phase.STARTING:
            self._repeat_at = at + _REPEAT_AFTER

    def reload_refused(self, why: str) -> None:
        if self._state is not None:
            for notice in refused_reload(self._state, time.monotonic(), why):
                self._send(notice)

    def announce_main(self, pid: int) -> None:
        """Announce another process as the service's main process."""
        self._send(f"MAINPID={pid}")

    def tick(self, now: float) -> None:
        """Send the notices that are due: retries, repetitions of a successor, and watchdog pings."""
        state = self._state
        if self._socket is None or state is None:
            return
        self._flush()
        if self._repeat_at is not None and now >= self._repeat_at:
            self._repeat_at = None
            self._send_stored()
            if state.phase is Phase.RUNNING and state.stop_at is None:  # otherwise another notice reports the state
                self._send(f"READY=1\nSTATUS={status_line(state, now)}")
        if self._ping_interval is not None and now >= self._next_ping:
            self._next_ping = now + self._ping_interval
            if is_healthy(state) and not self._unsent:
                self._send("WATCHDOG=1")

    def next_at(self) -> float | None:
        """When `tick` has something to do, None for never."""
        times = [time.monotonic() + _RETRY] if self._unsent else []
        times += [] if self._ping_interval is None else [self._next_ping]
        times += [] if self._repeat_at is None else [self._repeat_at]
        return min(times, default=None)

    def close(self) -> None:
        if self._socket is not None:
            self._flush()
            self._socket.close()
            self._socket = None

    def _send_stored(self) -> None:
        for name, socks in self._stored.items():
            self._send(f"FDSTORE=1\nFDNAME={name}", socks)

    def _forget_stored(self) -> None:
        """Remove stored listeners, so that no connection waits in the queue of a stopped service."""
        for name in self._stored:
            self._send(f"FDSTOREREMOVE=1\nFDNAME={name}")
        self._stored.clear()

    def _send(self, notice: str, socks: tuple[socket.socket, ...] = ()) -> None:
        if self._socket is None:
            return
        if len(self._unsent) == _MAX_UNSENT:
            self._unsent.popleft()
        self._unsent.append((notice.encode(), socks))
        self._flush()

    def _flush(self) -> None:
        while self._unsent and self._socket is not None:
            data, socks = self._unsent[0]
            try:
                _send(self._socket, self._address, data, socks)
            except BlockingIOError:
                return
            except OSError as error:
                if not self._is_unreachable:
                    logger.warning("the service manager at NOTIFY_SOCKET cannot be notified: %s", error.strerror)
                self._is_unreachable = True
            else:
                self._is_unreachable = False
            self._unsent.popleft()


def _send(sock: socket.socket, address: str, data: bytes, socks: tuple[socket.socket, ...]) -> None:
    fds = [each.fileno() for each in socks if each.fileno() >= 0]
    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds).tobytes())] if fds else []
    sock.sendmsg([data], ancillary, socket.MSG_DONTWAIT, address)


def _address(name: str) -> str:
    """The address of NOTIFY_SOCKET; "" where there is none. A name that begins with @ is abstract (unix(7))."""
    if name and name[0] not in "/@":
        logger.warning("NOTIFY_SOCKET=%s is neither a path nor an abstract name; sd_notify disabled", name)
        return ""
    return "\0" + name[1:] if name.startswith("@") else name


def _watchdog_period(environ: MutableMapping[str, str]) -> float | None:
    """Seconds between watchdog pings, None if the manager expects none of this process (sd_watchdog_enabled(3)).

    WATCHDOG_PID is removed, since a successor is another process and continues the pings.
    """
    pid, microseconds = environ.pop("WATCHDOG_PID", ""), environ.get("WATCHDOG_USEC", "")
    if not microseconds.isdigit() or int(microseconds) == 0 or pid not in ("", str(os.getpid())):
        return None
    return int(microseconds) / 1e6 / _PINGS
