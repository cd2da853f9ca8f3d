"""Small HTTP/1.1 client that raises on refused, reset and late connections, and on statuses other than 200."""

from __future__ import annotations

import socket
import threading
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit

TIMEOUT = 20.0
PAUSE = 0.01  # seconds between two requests of a client under `Load`: what is tested needs the processors, too


class Client:
    """One connection at a time to an address of the start-up line."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._sock: socket.socket | None = None
        self._rest = b""

    def connect(self) -> socket.socket:
        """New connection, as a socket."""
        if self._address.startswith("unix:"):
            sock = socket.socket(socket.AF_UNIX)
            sock.settimeout(TIMEOUT)
            try:
                sock.connect(self._address.removeprefix("unix:"))
            except OSError:
                sock.close()
                raise
            return sock
        where = urlsplit(self._address)
        return socket.create_connection((where.hostname, where.port), TIMEOUT)

    def get(self, path: str = "/", *, keep: bool = False) -> str:
        """Body of a response with status 200; other statuses raise."""
        status, body = self.request(path, keep=keep)
        if status != 200:
            raise ConnectionError(f"status {status}: {body[:200]!r}")
        return body.decode()

    def request(self, path: str = "/", *, keep: bool = False) -> tuple[int, bytes]:
        """Send a GET; the connection is kept if both sides agree."""
        try:
            return self._request(path, keep=keep)
        except OSError:
            self.close()
            raise

    def _request(self, path: str, *, keep: bool) -> tuple[int, bytes]:
        if self._sock is None:
            self._sock = self.connect()
            self._rest = b""
        connection = "keep-alive" if keep else "close"
        self._sock.sendall(f"GET {path} HTTP/1.1\r\nHost: corn\r\nConnection: {connection}\r\n\r\n".encode())
        status, closes, body = self._answer()
        if closes or not keep:
            self.close()
        return status, body

    def _answer(self) -> tuple[int, bool, bytes]:
        while b"\r\n\r\n" not in self._rest:
            self._read()
        head, _, self._rest = self._rest.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").lower().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines[1:])
        if "content-length" in headers:
            length = int(headers["content-length"])
            while len(self._rest) < length:
                self._read()
            body, self._rest = self._rest[:length], self._rest[length:]
        else:
            body = self._chunks()
        return int(lines[0].split()[1]), headers.get("connection") == "close", body

    def _chunks(self) -> bytes:
        body = b""
        while True:
            while b"\r\n" not in self._rest:
                self._read()
            size, _, self._rest = self._rest.partition(b"\r\n")
            length = int(size, 16)
            while len(self._rest) < length + 2:
                self._read()
            body, self._rest = body + self._rest[:length], self._rest[length + 2 :]
            if length == 0:
                return body

    def _read(self) -> None:
        data = self._sock.recv(65536)
        if not data:
            raise ConnectionError(f"closed in the middle of an answer, after {self._rest[:100]!r}")
        self._rest += data

    def close(self) -> None:
        if self._sock is not None:
            self._sock.close()
            self._sock = None

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass
class Load:
    """Closed loop of clients, of which half keep their connections; records responses and failures."""

    address: str
    clients: int = 8
    path: str = "/"
    answers: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def __enter__(self) -> Load:
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._go_on, args=(number % 2 == 0,), daemon=True) for number in range(self.clients)
        ]
        for thread in self._threads:
            thread.start()
        return self

    def _go_on(self, keep: bool) -> None:
        with Client(self.address) as client:
            while not self._stop.wait(PAUSE):
                began = time.monotonic()
                try:
                    self.answers.append(client.get(self.path, keep=keep))
                except (OSError, ValueError) as error:
                    took = time.monotonic() - began
                    self.failures.append(f"{type(error).__name__}: {error} after {took:.3f} s, keep={keep}")
                    client.close()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(TIMEOUT)

    def __exit__(self, *_: object) -> None:
        self.stop()
