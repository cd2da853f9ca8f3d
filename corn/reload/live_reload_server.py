"""Live reload server: server-sent events for browsers, from the watcher's process, on a port of 127.0.0.1.

    GET /TOKEN         text/event-stream: the state at once, and whenever it changes
    GET /TOKEN/state   the state, once

It uses one thread and non-blocking sockets. A request without the token gets 404, and `Host` and `Origin` must name
this machine: pages of other sites can make a browser connect here (also by DNS rebinding), and must not read file
names. A client that does not read is dropped, and reconnects. (html.spec.whatwg.org, 9.2; RFC 9112.)

It does not use corn's server, because the watcher must never wait for a client: a slow browser would delay the reload.
"""

from __future__ import annotations

import contextlib
import hmac
import json
import re
import selectors
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict

from corn.frozen import frozen

_MAX_HEAD = 16384
_HEAD_TIMEOUT = 5.0
_MAX_CLIENTS = 200
_KEEP_ALIVE_INTERVAL = 15.0
_LOCAL = re.compile(r"https?://(localhost|[a-z0-9.-]+\.localhost|127\.0\.0\.1|\[::1\])(:\d+)?", re.IGNORECASE)


@frozen
class ReloadState:
    """State that browsers receive. `revision` counts the versions of the code and `failed` says that the newest is not
    served; `styles` counts changes of style sheets, `pages` those of other files that pages load, `paths` are the files
    of the last change, and `saved` is the time.time() of the last save of them all.
    """

    revision: int = 0
    failed: bool = False
    styles: int = 0
    pages: int = 0
    paths: tuple[str, ...] = ()
    saved: float = 0.0

    def encode(self) -> bytes:
        return json.dumps(asdict(self)).encode()


@frozen
class Request:
    """Parsed request: method, target, and fields by lower-case name."""

    method: str
    target: str
    fields: Mapping[str, str]

    @classmethod
    def parse(cls, head: bytes) -> Request:
        """Parse the head of a request; raises ValueError if it is not HTTP/1."""
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ")
        pairs = (line.partition(":") for line in lines)
        return cls(method, target, {name.lower(): value.strip() for name, _, value in pairs})


def status_of(request: Request, token: str, port: int) -> int:
    """The status of the response: 200, or the reason for a refusal."""
    if request.fields.get("host", "") not in (f"127.0.0.1:{port}", f"localhost:{port}"):
        return 421
    origin = request.fields.get("origin")
    if origin is not None and not _LOCAL.fullmatch(origin):
        return 403
    given = request.target.removesuffix("/state").removeprefix("/")
    if not hmac.compare_digest(given.encode("latin-1"), token.encode()):
        return 404
    return 200 if request.method == "GET" else 405


class Client:
    """One connection: the received part of its request, and the deadline for the rest."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self.received = b""
        self.is_stream = False
        self.deadline = time.monotonic() + _HEAD_TIMEOUT


class LiveReloadServer:
    """Serves the state on `listener`, in a thread of its own."""

    def __init__(self, listener: socket.socket, token: str) -> None:
        self._listener = listener
        self._token = token
        self._port: int = listener.getsockname()[1]
        self._state = ReloadState()
        self._clients: set[Client] = set()
        self._selector = selectors.DefaultSelector()
        self._wake_writer, self._wake_reader = socket.socketpair()
        self._changed = threading.Event()

    def start(self) -> None:
        for sock in (self._listener, self._wake_reader, self._wake_writer):
            sock.setblocking(False)
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._wake_reader, selectors.EVENT_READ)
        threading.Thread(target=self._run, name="live reload", daemon=True).start()

    def announce(self, state: ReloadState) -> None:
        """Send a state to all browsers; may be called from any thread."""
        self._state = state
        self._changed.set()
        with contextlib.suppress(OSError):
            self._wake_writer.send(b"x")

    def _run(self) -> None:
        next_comment = time.monotonic() + _KEEP_ALIVE_INTERVAL
        while True:
            for key, _ in self._selector.select(_HEAD_TIMEOUT):
                self._serve(key)
            if self._changed.is_set():
                self._changed.clear()
                self._send_to_all(_event(self._state))
            now = time.monotonic()
            if now >= next_comment:
                next_comment = now + _KEEP_ALIVE_INTERVAL
                self._send_to_all(b":\n\n")
            for client in [each for each in self._clients if not each.is_stream and each.deadline <= now]:
                self._drop(client)

    def _serve(self, key: selectors.SelectorKey) -> None:
        if key.fileobj is self._listener:
            self._accept()
        elif key.fileobj is self._wake_reader:
            with contextlib.suppress(OSError):
                self._wake_reader.recv(4096)
        else:
            self._read(key.data)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            sock, _ = self._listener.accept()
            if len(self._clients) >= _MAX_CLIENTS:
                sock.close()
                return
            sock.setblocking(False)
            client = Client(sock)
            self._clients.add(client)
            self._selector.register(sock, selectors.EVENT_READ, client)

    def _read(self, client: Client) -> None:
        try:
            data = client.socket.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        client.received += data
        if not data or len(client.received) > _MAX_HEAD:
            self._drop(client)
        elif not client.is_stream and b"\r\n\r\n" in client.received:
            self._answer(client)

    def _answer(self, client: Client) -> None:
        try:
            request = Request.parse(client.received.partition(b"\r\n\r\n")[0])
            status = status_of(request, self._token, self._port)
        except ValueError:
            request, status = Request("", "", {}), 400
        client.is_stream = status == 200 and not request.target.endswith("/state")
        if client.is_stream:
            self._send(client, _head(200, request, "text/event-stream") + _event(self._state))
            return
        body = self._state.encode() if status == 200 else b""
        self._send(client, _head(status, request, "application/json") + body)
        self._drop(client)

    def _send_to_all(self, data: bytes) -> None:
        for client in [each for each in self._clients if each.is_stream]:
            self._send(client, data)

    def _send(self, client: Client, data: bytes) -> None:
        try:
            whole = client.socket.send(data) == len(data)
        except OSError:
            whole = False
        if not whole:
            self._drop(client)

    def _drop(self, client: Client) -> None:
        if client in self._clients:
            self._clients.discard(client)
            self._selector.unregister(client.socket)
            client.socket.close()


def _event(state: ReloadState) -> bytes:
    return b"data: " + state.encode() + b"\n\n"


def _head(status: int, request: Request, kind: str) -> bytes:
    lines = [f"HTTP/1.1 {status} ", f"content-type: {kind}", "cache-control: no-store", "connection: close"]
    origin = request.fields.get("origin")
    if status == 200 and origin is not None:
        lines += [f"access-control-allow-origin: {origin}", "vary: origin"]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")
