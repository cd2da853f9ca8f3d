"""Control socket server: requests and answers are lines of JSON, served within the master's loop.

A client uses a bounded amount of memory and never blocks the loop: one that is idle, sends slowly, or does not read its
answer is dropped. Beyond `MAX_CLIENTS`, the client that has been idle longest is dropped for a new one, so that a
flood of connections does not lock an operator out. A client is authorized by its peer credentials (SO_PEERCRED). In
addition, only this user can enter the directory of the socket.

The protocol is in docs/reference/control.md. What a request does is in commands.py.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import socket
import struct
import sys
import time
from collections.abc import Callable
from typing import Any, Protocol

from corn.supervisor.control.socket_file import ControlSocket
from corn.supervisor.policy.state import State
from corn.supervisor.projections.wait_conditions import WaitCondition

MAX_CLIENTS = 32
MAX_ACCEPTED = 8  # in one loop iteration, so that a flood does not block the loop
IDLE_TIMEOUT = 10.0  # timeout in seconds for a client to send its request, or to read its answer
MAX_REQUEST = 65536
_NO_DESCRIPTOR = 1.0  # seconds without accepting, after the process ran out of descriptors

Answer = dict[str, Any]


class Reply(Protocol):
    """Destination of a reply. `wait` postpones it until `observe` sees that a condition is met or has failed."""

    def send(self, answer: Answer) -> None: ...
    def wait(self, condition: WaitCondition) -> None: ...
    def observe(self, before: State, after: State) -> None: ...


class Client:
    """Connection of a client: its buffered request, the unsent part of the answer, and the condition it waits for."""

    def __init__(self, sock: socket.socket, control: ControlServer) -> None:
        self.sock = sock
        self.deadline: float | None = time.monotonic() + IDLE_TIMEOUT
        self.condition: WaitCondition | None = None
        self._control = control
        self._received = b""
        self._unsent = b""
        self._is_pending = False

    def handle_io(self, mask: int) -> None:
        """Send, receive and answer as far as possible without waiting; drops the client if that fails."""
        try:
            if mask & selectors.EVENT_WRITE:
                self._flush()
            if mask & selectors.EVENT_READ:
                self._receive()
        except (OSError, ValueError):
            self._control.drop(self)

    def send(self, answer: Answer) -> None:
        self._is_pending, self.condition = False, None
        self._unsent += json.dumps(answer).encode() + b"\n"
        self.deadline = time.monotonic() + IDLE_TIMEOUT
        with contextlib.suppress(OSError):  # the next read detects it
            self._flush()
        self._control.watch(self, writing=bool(self._unsent))

    def wait(self, condition: WaitCondition) -> None:
        self.condition = condition

    def observe(self, before: State, after: State) -> None:
        """Send the reply if a change of the state meets the condition."""
        outcome = self.condition.check(before, after) if self.condition is not None else None
        if outcome is not None:
            word = "text" if outcome.ok else "error"
            self.send({"ok": outcome.ok, word: outcome.text, "detail": outcome.detail})

    def _receive(self) -> None:
        data = self.sock.recv(MAX_REQUEST)
        self._received += data
        if not data or len(self._received) > MAX_REQUEST:
            raise ValueError("gone, or no request")

    @property
    def has_request(self) -> bool:
        """True if a complete request is buffered and the previous one has been answered."""
        return not self._is_pending and not self._unsent and b"\n" in self._received

    def serve_next(self) -> None:
        """Handle one buffered request per loop iteration, so that a busy client does not block the loop."""
        line, _, self._received = self._received.partition(b"\n")
        self._is_pending, self.deadline = True, None
        self._control.serve(line, self)

    def _flush(self) -> None:
        while self._unsent:
            try:
                sent = self.sock.send(self._unsent)
            except BlockingIOError:
                return
            self._unsent = self._unsent[sent:]
            self.deadline = time.monotonic() + IDLE_TIMEOUT
        self._control.watch(self, writing=False)


class ControlServer:
    """Server on a `ControlSocket`; without one every method does nothing.

    `answer` is called with the fields of a request, which are not validated, and a `Reply`.
    """

    def __init__(
        self,
        control_socket: ControlSocket | None,
        selector: selectors.BaseSelector,
        answer: Callable[[dict[str, Any], Reply], None],
    ) -> None:
        self.control_socket = control_socket
        self._selector = selector
        self._answer = answer
        self._clients: dict[int, Client] = {}
        self._listens = False
        self._resumes_at: float | None = None

    def listen(self) -> None:
        """Start accepting."""
        if self.control_socket is not None and not self._listens:
            self._listens, self.control_socket.borrowed = True, False
            self._selector.register(self.control_socket.sock, selectors.EVENT_READ, self._accept)

    def stop_listening(self, *, keep_file: bool) -> None:
        """Stop accepting; clients that are connected are still answered."""
        self._pause()
        self._resumes_at = None
        if self.control_socket is not None:
            self.control_socket.close(keep_file=keep_file)
            self.control_socket = None

    def observe(self, before: State, after: State, at: float) -> None:
        """Answer the clients whose condition a decision has met."""
        del at
        for client in [each for each in self._clients.values() if each.condition is not None]:
            client.observe(before, after)

    def next_at(self) -> float | None:
        """Time at which `tick` has something to do; in the past if it is due at once."""
        if any(each.has_request for each in self._clients.values()):
            return 0.0
        times = [each.deadline for each in self._clients.values() if each.deadline is not None]
        return min((*times, *([] if self._resumes_at is None else [self._resumes_at])), default=None)

    def tick(self, now: float) -> None:
        """Answer buffered requests, drop clients that timed out, and accept again after a pause."""
        for client in [each for each in self._clients.values() if each.has_request]:
            client.serve_next()
        for client in [each for each in self._clients.values() if each.deadline is not None and each.deadline <= now]:
            self.drop(client)
        if self._resumes_at is not None and self._resumes_at <= now:
            self._resumes_at = None
            self.listen()

    def serve(self, line: bytes, client: Client) -> None:
        """Answer one request."""
        try:
            request = json.loads(line)
        except (ValueError, RecursionError):
            request = None
        if isinstance(request, dict):
            self._answer(request, client)
        else:
            client.send({"ok": False, "error": "expected a JSON object in one line"})

    def watch(self, client: Client, *, writing: bool) -> None:
        """Register a client for reading, and also for writing while it has unsent data."""
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if writing else 0)
        if client.sock.fileno() in self._clients:
            self._selector.modify(client.sock, wanted, client.handle_io)

    def drop(self, client: Client) -> None:
        if self._clients.pop(client.sock.fileno(), None) is not None:
            self._selector.unregister(client.sock)
        client.sock.close()

    def _accept(self, mask: int) -> None:
        del mask
        assert self.control_socket is not None
        for _ in range(MAX_ACCEPTED):
            try:
                sock, _address = self.control_socket.sock.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError:  # out of descriptors: the waiting connection would wake the loop continuously
                self._pause()
                self._resumes_at = time.monotonic() + _NO_DESCRIPTOR
                return
            self._admit(sock)

    def _pause(self) -> None:
        if self._listens and self.control_socket is not None:
            self._selector.unregister(self.control_socket.sock)
        self._listens = False

    def _admit(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        try:
            is_allowed = peer_uid(sock) in (0, os.geteuid())
        except OSError:
            is_allowed = False
        if not is_allowed or not self._make_room():
            why = "too many clients" if is_allowed else "permission denied: only root and the user who runs corn"
            with contextlib.suppress(OSError):
                sock.send(json.dumps({"ok": False, "error": why}).encode() + b"\n")
            sock.close()
            return
        client = self._clients[sock.fileno()] = Client(sock, self)
        self._selector.register(sock, selectors.EVENT_READ, client.handle_io)

    def _make_room(self) -> bool:
        """Drop the client that has been idle longest if there are too many; False if all wait for an answer."""
        if len(self._clients) < MAX_CLIENTS:
            return True
        idle = [each for each in self._clients.values() if each.deadline is not None]
        if idle:
            self.drop(min(idle, key=lambda each: each.deadline or 0.0))
        return bool(idle)


_LOCAL_PEERCRED = 1  # of level 0, unix(4) of macOS: struct xucred, whose second word is the user


def peer_uid(sock: socket.socket) -> int:
    """User id of the peer when it connected (SO_PEERCRED, unix(7)); raises OSError where the kernel has none."""
    if sys.platform == "linux":
        credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        return int(struct.unpack("3i", credentials)[1])
    return int(struct.unpack_from("II", sock.getsockopt(0, _LOCAL_PEERCRED, 76))[1])
