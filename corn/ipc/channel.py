"""Channel between two of corn's processes: messages as JSON lines over a stream socketpair(2).

A line holds a message's class name and its fields. Descriptors are passed with SCM_RIGHTS (unix(7)), in the order of
the messages that announce them. End of file means that the peer has closed its end; nothing is polled.

One end is in the process of the application, which may write to the socket by mistake. So received bytes are checked:
an invalid line is kept for the reader, and decoding continues with the next line.
"""

from __future__ import annotations

import json
import os
import socket
from collections import deque

from corn.frozen import fields_of
from corn.ipc.messages import Message, build

_MAX_LINE = 1 << 22
_MAX_FDS = 16
_MAX_INVALID_LINES = 1024  # lines that are kept


def encode(message: Message) -> bytes:
    return json.dumps([type(message).__name__, fields_of(message)]).encode() + b"\n"


class Decoder:
    """Decoder of received bytes, in pieces of any size, into messages.

    `invalid_lines` holds the lines that were not messages; `overflowed` is True once a line has exceeded the limit.
    """

    def __init__(self) -> None:
        self.invalid_lines: list[bytes] = []
        self.overflowed = False
        self._rest: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> list[Message]:
        """Messages that `data` completes."""
        if b"\n" not in data:
            self._keep(data)
            return []
        first, *lines = data.split(b"\n")
        lines, rest = [b"".join((*self._rest, first)), *lines[:-1]], lines[-1]
        self._rest, self._size = [], 0
        self._keep(rest)
        return [message for line in lines if (message := self._decode(line)) is not None]

    def _keep(self, data: bytes) -> None:
        if data:
            self._rest.append(data)
            self._size += len(data)
        if self._size > _MAX_LINE:
            self.overflowed = True
            self._record_invalid(b"".join(self._rest)[:80])
            self._rest, self._size = [], 0

    def _decode(self, line: bytes) -> Message | None:
        try:
            name, values = json.loads(line)
            return build(name, values)
        except (ValueError, TypeError, RecursionError):
            self._record_invalid(line)
            return None

    def _record_invalid(self, line: bytes) -> None:
        if len(self.invalid_lines) < _MAX_INVALID_LINES:
            self.invalid_lines.append(line)


class Channel:
    """One end of a socketpair that carries messages; never blocks unless its socket is set to block.

    `passes_fds`: descriptors may arrive on it. Otherwise the kernel closes descriptors that arrive.
    """

    def __init__(self, sock: socket.socket, *, passes_fds: bool = True) -> None:
        self._socket = sock
        self._passes_fds = passes_fds
        self._decoder = Decoder()
        self._fds: deque[int] = deque()
        self._unsent: deque[tuple[bytes, tuple[int, ...]]] = deque()
        self.closed = False

    def fileno(self) -> int:
        return self._socket.fileno()

    def set_blocking(self, blocking: bool) -> None:
        self._socket.setblocking(blocking)

    def set_timeout(self, seconds: float) -> None:
        """Set the timeout of sending and receiving; `receive` treats a timeout as the end of the channel."""
        self._socket.settimeout(seconds)

    @property
    def invalid_lines(self) -> list[bytes]:
        """Lines received since the list was last cleared that were not messages."""
        return self._decoder.invalid_lines

    @property
    def overflowed(self) -> bool:
        """True if a received line has exceeded the limit."""
        return self._decoder.overflowed

    def send(self, message: Message, fds: tuple[int, ...] = ()) -> None:
        """Send; bytes that the socket does not take now are kept for `flush`. `receive` detects a closed peer.

        The descriptors are duplicated at once, so the caller may close its own. Raises OSError, and sends nothing, if
        that fails.
        """
        self._unsent.append((encode(message), _duplicated(fds)))
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
        """Messages received; sets `closed` at end of file. A blocking socket waits for at least one byte or the end."""
        try:
            data = self._receive()
        except BlockingIOError:
            return []
        except OSError:  # or a timeout, if one is set
            data = b""
        if not data:
            self.closed = True
            return []
        return self._decoder.feed(data)

    def take_fd(self) -> int:
        """Next descriptor received with a message."""
        return self._fds.popleft()

    def close(self) -> None:
        self.closed = True
        self._drop_unsent()
        _close_all(self._fds)
        self._fds.clear()
        self._socket.close()

    def _receive(self) -> bytes:
        if not self._passes_fds:
            return self._socket.recv(65536)
        data, fds, _, _ = socket.recv_fds(self._socket, 65536, _MAX_FDS)
        for fd in fds:
            os.set_inheritable(fd, False)  # programs that the application runs must not inherit them
        self._fds.extend(fds)
        return data

    def _drop_unsent(self) -> None:
        for _, fds in self._unsent:
            _close_all(fds)
        self._unsent.clear()


def channel_of(fd: int) -> Channel:
    """Channel on a descriptor, which blocks, even if the application has called socket.setdefaulttimeout."""
    sock = socket.socket(fileno=fd)
    sock.setblocking(True)
    return Channel(sock)


def _duplicated(fds: tuple[int, ...]) -> tuple[int, ...]:
    made: list[int] = []
    try:
        for fd in fds:
            made.append(os.dup(fd))  # noqa: PERF401 - those before one that fails are closed
    except OSError:
        _close_all(made)
        raise
    return tuple(made)


def _close_all(fds: tuple[int, ...] | deque[int] | list[int]) -> None:
    for fd in fds:
        os.close(fd)
