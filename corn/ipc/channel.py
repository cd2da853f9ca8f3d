"""Carries messages between master, template and worker.

Each pair shares one stream socketpair(2). A message is one line of JSON: its class name and its fields. Descriptors
ride along with SCM_RIGHTS (unix(7)), in the order of the messages that announce them. End of file means that the other
side is gone; nobody polls.
"""

from __future__ import annotations

import json
import os
import socket
from collections import deque
from dataclasses import asdict

from corn.ipc.messages import KINDS, Message

_MAX_LINE = 1 << 22
_MAX_FDS = 16


def encode(message: Message) -> bytes:
    return json.dumps([type(message).__name__, asdict(message)]).encode() + b"\n"


class Decoder:
    """Turns received bytes into messages, whatever the boundaries they arrive in."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[Message]:
        """The messages that are complete now; raises ValueError on what no side of corn sends."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > _MAX_LINE:
            raise ValueError("a message without an end")
        return [_decode(line) for line in lines]


def _decode(line: bytes) -> Message:
    try:
        name, values = json.loads(line)
        return KINDS[name](**values)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"not a message: {line[:80]!r}") from error


class Channel:
    """One end of a socketpair that carries messages; never blocks unless its socket is set to block."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._decoder = Decoder()
        self._fds: deque[int] = deque()
        self._unsent: deque[tuple[bytes, tuple[int, ...]]] = deque()
        self.closed = False

    def fileno(self) -> int:
        return self._socket.fileno()

    def set_blocking(self, blocking: bool) -> None:
        self._socket.setblocking(blocking)

    def send(self, message: Message, fds: tuple[int, ...] = ()) -> None:
        """Send, or keep for `flush` what the socket does not take now. A peer that is gone is noticed by `receive`.

        The descriptors are duplicated at once, so the caller may close its own.
        """
        self._unsent.append((encode(message), tuple(os.dup(fd) for fd in fds)))
        self.flush()

    @property
    def wants_write(self) -> bool:
        return bool(self._unsent)

    def flush(self) -> None:
        while self._unsent:
            data, fds = self._unsent[0]
            try:
                sent = socket.send_fds(self._socket, [data], fds) if fds else self._socket.send(data)
            except BlockingIOError:
                return
            except OSError:
                self._drop_unsent()
                return
            _close_all(fds)
            self._unsent.popleft()
            if sent < len(data):
                self._unsent.appendleft((data[sent:], ()))

    def receive(self) -> list[Message]:
        """What has arrived; sets `closed` at end of file. A blocking socket waits for at least one byte or the end."""
        try:
            data, fds, _, _ = socket.recv_fds(self._socket, 65536, _MAX_FDS)
        except BlockingIOError:
            return []
        except OSError:  # a time-out too, where the socket has one
            data, fds = b"", []
        self._fds.extend(fds)
        if not data:
            self.closed = True
            return []
        return self._decoder.feed(data)

    def take_fd(self) -> int:
        """The next descriptor that came along with a message."""
        return self._fds.popleft()

    def close(self) -> None:
        self.closed = True
        self._drop_unsent()
        _close_all(self._fds)
        self._fds.clear()
        self._socket.close()

    def _drop_unsent(self) -> None:
        for _, fds in self._unsent:
            _close_all(fds)
        self._unsent.clear()


def _close_all(fds: tuple[int, ...] | deque[int]) -> None:
    for fd in fds:
        os.close(fd)
