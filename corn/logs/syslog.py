"""Syslog as a destination of the log.

    syslog://                   the local daemon, by the Unix socket /dev/log
    syslog:///run/other.sock    another Unix socket
    syslog://HOST:PORT          UDP (RFC 5426), by default port 514
    syslog+tcp://HOST:PORT      TCP, a line for each message (RFC 6587, 3.4.2)

`?facility=local0&tag=shop` may follow. A message is `<PRI>TAG[PID]: text`, as logging.handlers.SysLogHandler sends it
with an ident: the receiver adds the time and the host (RFC 3164, 4.3.3). It is one line, so that it has one form on
all transports; the line ends of a traceback are written #012, as rsyslog writes them.

Nothing here waits for the receiver: sockets are non-blocking, messages that it does not take are kept up to a bound,
and beyond it the oldest are dropped and counted. A lost connection is tried again once a second.
"""

from __future__ import annotations

import contextlib
import math
import os
import re
import select
import socket
import sys
import time
from collections import deque
from functools import lru_cache
from typing import Any

from corn.frozen import frozen
from corn.logs.formats import Receiver

LOCAL = "/var/run/syslog" if sys.platform == "darwin" else "/dev/log"
_PORT = 514
_NAMES = ("kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp")
_FACILITIES = {**{name: number for number, name in enumerate(_NAMES)}, **{f"local{n}": 16 + n for n in range(8)}}
_ADDRESS = re.compile(
    r"syslog(?P<tcp>\+tcp)?://"
    r"(?P<where>(?P<path>/[^?]+)|(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?)?"
    r"(?:\?(?P<query>.*))?"
)
_TAG = re.compile(r"[A-Za-z0-9_./-]{1,32}")
_EXPECTED = (
    "expected syslog://, syslog://HOST:PORT, syslog+tcp://HOST:PORT or syslog:///SOCKET, to which "
    "?facility=local0&tag=shop may be added"
)
_MAX_MESSAGE = 8192  # bytes of a message: more is cut by rsyslog
_MAX_KEPT_BYTES = 1 << 20
_RETRY = 1.0  # seconds between two attempts to connect
_CONNECT_TIMEOUT = 0.3  # seconds for a connection at the start of a service
_FINISH_TIMEOUT = 1.0  # seconds for the last messages


@frozen
class SyslogAddress:
    """Receiver of messages: the path of a Unix socket, or a host and a port; and their facility and tag."""

    path: str
    host: str
    port: int
    is_stream: bool
    facility: int
    tag: str

    def __str__(self) -> str:
        return self.path or f"{self.host}:{self.port}"


def is_syslog(text: str) -> bool:
    """True for the name of a syslog receiver, not of a file; it may be malformed."""
    return re.match(r"syslog(\+\w*)?:", text) is not None


def parse_syslog(text: str) -> SyslogAddress:
    """Parse the URL of a receiver; raises ValueError with the expected form."""
    match = _ADDRESS.fullmatch(text)
    if match is None or (match["tcp"] and not match["host"]):
        raise ValueError(_EXPECTED)
    port = int(match["port"] or _PORT)
    if not 0 < port < 65536:
        raise ValueError("expected a port from 1 to 65535")
    facility, tag = _read_query(match["query"])
    path = "" if match["host"] else match["path"] or LOCAL
    return SyslogAddress(path, (match["host"] or "").strip("[]"), port, bool(match["tcp"]), facility, tag)


def _read_query(query: str | None) -> tuple[int, str]:
    """Facility and tag: as SysLogHandler has it, the facility is `user`."""
    values = {"facility": "user", "tag": "corn"}
    for item in query.split("&") if query else []:
        key, _, value = item.partition("=")
        if key not in values:
            raise ValueError(f"expected facility or tag behind the question mark, not '{key}'")
        values[key] = value
    if values["facility"] not in _FACILITIES:
        raise ValueError(f"expected a facility of {', '.join(_FACILITIES)}")
    if not _TAG.fullmatch(values["tag"]):
        raise ValueError("expected a tag of at most 32 letters, digits, and _ . / -")
    return _FACILITIES[values["facility"]], values["tag"]


@lru_cache(maxsize=8)
def resolve(address: SyslogAddress) -> tuple[int, Any]:
    """Family and address of the socket to send to; raises OSError for an unknown host.

    A lookup waits for a name server, so it is made when a process starts; workers inherit the template's.
    """
    if address.path:
        return socket.AF_UNIX, address.path
    kind = socket.SOCK_STREAM if address.is_stream else socket.SOCK_DGRAM
    try:
        family, _, _, _, where = socket.getaddrinfo(address.host, address.port, type=kind)[0]
    except UnicodeError as error:
        raise OSError(str(error)) from None
    return family, where


class SyslogWriter:
    """Writer of lines, each of which begins with its priority as sd-daemon(3) has it; `dropped` counts the lost ones.

    Losses are counted there once the receiver is back, so that they are reported when the report arrives.
    """

    fd = -1
    receiver = Receiver.SYSLOG

    def __init__(self, address: SyslogAddress) -> None:
        self.dropped = 0
        self.last_error = ""  # why nothing was sent
        self._address = address
        self._header = f"{address.tag}[{os.getpid()}]: ".encode()
        self._kept: deque[bytes] = deque()
        self._kept_bytes = 0
        self._rest = b""  # of a message that was sent in part
        self._lost = 0
        self._sock: socket.socket | None = None
        self._connected = False
        self._retry_at = 0.0
        try:
            self._family, self._destination = resolve(address)
        except OSError as error:
            self._retry_at = math.inf  # another lookup would wait again
            self._failed(error)
        else:
            self._connect()

    @property
    def pending(self) -> bool:
        """True if messages are kept, which `flush` may send."""
        return bool(self._kept or self._rest)

    def connection_error(self) -> str:
        """Wait for a moment for the connection to be made; returns why there is none, or ""."""
        if self._sock is not None and self._has_connection and not self._connected:
            if not _is_writable(self._sock, _CONNECT_TIMEOUT):
                return f"{self._address} does not answer"
            self._has_connected(self._sock)
        return self.last_error

    def write(self, lines: bytes) -> None:
        """Send lines, or keep them for the next call."""
        for line in lines.split(b"\n"):
            if line:
                self._keep(self._message(line))
        self.flush()
        while self._kept_bytes > _MAX_KEPT_BYTES:
            self._kept_bytes -= len(self._kept.popleft())
            self._lost += 1

    def flush(self) -> None:
        """Send the kept messages, as far as the receiver takes them."""
        while self.pending and self._is_ready():
            message = self._rest or self._kept[0]
            try:
                sent = self._send(message)
            except BlockingIOError:
                return
            except OSError as error:
                self._failed(error)
                continue
            if self._rest:
                self._rest = self._rest[sent:]
            else:
                self._kept_bytes -= len(self._kept.popleft())
                self._rest = message[sent:] if self._address.is_stream else b""
            self.dropped, self._lost, self.last_error = self.dropped + self._lost, 0, ""

    def finish(self) -> None:
        """Send the last messages, for at most `_FINISH_TIMEOUT` seconds, and close the socket."""
        self.flush()
        deadline = time.monotonic() + _FINISH_TIMEOUT
        while self.pending and self._sock is not None and (left := deadline - time.monotonic()) > 0:
            _is_writable(self._sock, left)
            self.flush()
        self.abandon()

    def abandon(self) -> None:
        """Close the socket and forget what is kept: a parent process sends it."""
        self._kept.clear()
        self._kept_bytes, self._rest = 0, b""
        self._close()

    def _message(self, line: bytes) -> bytes:
        priority = self._address.facility * 8 + line[1] - 0x30
        message = b"<%d>%b%b" % (priority, self._header, line[3:])
        if len(message) >= _MAX_MESSAGE:
            message = message[: _MAX_MESSAGE - 1].decode("utf-8", "ignore").encode()
        return message

    def _keep(self, message: bytes) -> None:
        message += b"\n" if self._address.is_stream else b""
        self._kept.append(message)
        self._kept_bytes += len(message)

    def _is_ready(self) -> bool:
        """Connect if that is due; True if the receiver can be sent to."""
        if self._sock is None and time.monotonic() >= self._retry_at:
            self._connect()
        if self._sock is None or not self._address.is_stream:
            return self._sock is not None
        if not self._connected:
            return self._has_connected(self._sock)
        return self._is_open(self._sock)

    def _connect(self) -> None:
        self._retry_at = time.monotonic() + _RETRY
        kind = socket.SOCK_STREAM if self._address.is_stream else socket.SOCK_DGRAM
        try:
            sock = self._sock = socket.socket(self._family, kind)
            sock.setblocking(False)
            if self._has_connection:
                sock.connect(self._destination)
                self._connected = True
        except BlockingIOError:  # under way
            pass
        except OSError as error:
            self._failed(error)

    @property
    def _has_connection(self) -> bool:
        """False for UDP, which is sent without a connection: a receiver's absence is no error there."""
        return self._address.is_stream or self._family == socket.AF_UNIX

    def _has_connected(self, sock: socket.socket) -> bool:
        if not _is_writable(sock, 0):
            return False
        error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            self._failed(OSError(error, os.strerror(error)))
            return False
        self._connected = True
        return True

    def _is_open(self, sock: socket.socket) -> bool:
        """False if the receiver has closed the connection: what is sent to it then would be lost unnoticed."""
        with contextlib.suppress(BlockingIOError):
            try:
                if sock.recv(4096):
                    return True
                self._failed(OSError("the connection was closed"))
            except ConnectionError as error:
                self._failed(error)
            return False
        return True

    def _send(self, message: bytes) -> int:
        assert self._sock is not None
        return self._sock.send(message) if self._has_connection else self._sock.sendto(message, self._destination)

    def _failed(self, error: OSError) -> None:
        """Close the socket; a message that was sent in part is lost."""
        self.last_error = f"nothing is received at {self._address} ({error.strerror or error})"
        self._lost += bool(self._rest)
        self._rest = b""
        self._close()

    def _close(self) -> None:
        if self._sock is not None:
            self._sock.close()
        self._sock, self._connected = None, False


def _is_writable(sock: socket.socket, timeout: float) -> bool:
    """Wait until a socket takes data, is connected, or cannot be."""
    poll = select.poll()
    poll.register(sock, select.POLLOUT)
    return bool(poll.poll(timeout * 1000))
