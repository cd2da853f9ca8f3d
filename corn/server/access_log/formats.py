"""Formats of the access log: corn's own text, JSON, and gunicorn's format strings.

Text from clients cannot end the line or a quoted text in it: a parsed head contains no control byte but HTAB, and
quotes, backslashes, HTAB and non-ASCII bytes are escaped here.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from typing import NamedTuple, Protocol

from corn.config.sections.logs import ATOM
from corn.logs.formats import DATE, SHORT_DATE, Receiver, Source, format_utc
from corn.logs.local_time import format_local
from corn.server.asgi.scope import Address
from corn.server.http.head import RequestHead
from corn.server.request_id import request_id

_DIM, _RESET = "\x1b[2m", "\x1b[0m"
_GREEN = "\x1b[32m"
_LEVELS = {"info": _GREEN, "warning": "\x1b[33m", "error": "\x1b[31m"}
_PRIORITIES = {"info": "<6>", "warning": "<4>", "error": "<3>"}  # sd-daemon(3)
_STATUS_COLORS = {2: _GREEN, 3: "\x1b[36m", 4: "\x1b[33m", 5: "\x1b[31m"}
_UNSAFE = re.compile(r'["\\\t\x7f-\xff]')


class AccessRecord(NamedTuple):
    """Record of a finished request; `head` is None for one that was refused before it could be parsed."""

    client: Address
    head: RequestHead | None
    status: int
    sent: int  # bytes of the response's body
    took: float  # seconds
    response_fields: bytes = b""  # field lines that the application has set
    note: str = ""  # reason if corn refused the request itself
    phase: str = ""  # of a WebSocket: accepted, or closed with its code


class Format(Protocol):
    """Formatter of lines; `begin` sets the time of the lines that follow.

    With `tells_of_opening`, a WebSocket has a line when it is accepted and another when it is closed. Machine-readable
    formats have only the second, so that the number of lines is the number of requests.
    """

    tells_of_opening: bool

    def begin(self, now: float) -> None:
        """Take `now`, in seconds since the epoch."""

    def line(self, answered: AccessRecord) -> str:
        """Format a record as a line, its end included."""


class TextFormat:
    """`2026-11-21 07:54:24.123 INFO    [4711] 127.0.0.1:5312 "GET /path HTTP/1.1" 200 13 0.4ms`.

    `short` leaves out the date and the process id, for a narrow terminal.
    """

    tells_of_opening = True

    def __init__(self, *, color: bool, receiver: Receiver = Receiver.LINES, short: bool = False) -> None:
        self._color = color
        self._date = SHORT_DATE if short else DATE
        self._is_stamped = receiver is Receiver.LINES  # the journal and syslog record the time themselves
        self._levels = {level: _level_text(level, color=color, receiver=receiver, short=short) for level in _LEVELS}
        self._stamp = ""
        self._second = -1
        self._second_text = ""

    def begin(self, now: float) -> None:
        if not self._is_stamped:
            return
        second = int(now)
        if second != self._second:
            self._second = second
            self._second_text = format_local(self._date, second)
        stamp = f"{self._second_text}.{int((now - second) * 1000):03d}"
        self._stamp = _DIM + stamp + _RESET if self._color else stamp

    def line(self, answered: AccessRecord) -> str:
        client, head, status, sent, took, _, note, phase = answered
        prefix = self._stamp + self._levels["info" if status < 400 else level_of_status(status)]
        peer = f"{client[0]}:{client[1]}" if client else "-"
        request = "-" if head is None else f"{head.method} {escaped(head.target)} HTTP/{head.version}"
        if phase and head is not None:  # as uvicorn has it
            return f'{prefix}{peer} "WebSocket {escaped(head.target)}" [{phase}] {sent} {took * 1000:.1f}ms\n'
        shown = f"{_STATUS_COLORS.get(status // 100, '')}{status}{_RESET}" if self._color else status
        return f'{prefix}{peer} "{request}" {shown} {sent} {took * 1000:.1f}ms{note and f" ({note})"}\n'


class JSONFormat:
    """One JSON object a line, its time in UTC (RFC 3339)."""

    tells_of_opening = False

    def __init__(self, source: Source, *, receiver: Receiver = Receiver.LINES, with_id: bool = False) -> None:
        self._source = source.fields()
        self._with_id = with_id  # option request_id
        self._priorities = {} if receiver is Receiver.LINES else _PRIORITIES
        self._stamp = ""

    def begin(self, now: float) -> None:
        self._stamp = format_utc(now)

    def line(self, answered: AccessRecord) -> str:
        client, head, status, sent, took, _, note, phase = answered
        level = level_of_status(status)
        values: dict[str, object] = {"time": self._stamp, "level": level, **self._source, "logger": "corn.access"}
        values["client"] = f"{client[0]}:{client[1]}" if client else None
        if head is not None:
            path, _, query = head.target.decode("latin-1").partition("?")
            values.update(method=head.method, path=path, query=query, version=head.version)
        values.update(status=status, bytes=sent, ms=round(took * 1000, 3))
        if note or phase:
            values["note"] = note or f"websocket {phase}"
        if self._with_id and head is not None and not note:
            values["request_id"] = request_id(head.headers).decode("latin-1")
        return self._priorities.get(level, "") + json.dumps(values) + "\n"


class AtomFormat:
    """gunicorn's `--access-logformat`: text with `%(atom)s` in it."""

    tells_of_opening = False

    def __init__(self, text: str, *, receiver: Receiver = Receiver.LINES) -> None:
        self._now = 0.0
        self._priorities = _PRIORITIES if receiver is Receiver.SYSLOG else {}
        self._parts: list[str | Callable[[AccessRecord], str]] = []
        end = 0
        for match in ATOM.finditer(text):
            self._parts += [text[end : match.start()].replace("%%", "%"), self._atom(match)]
            end = match.end()
        self._parts.append(text[end:].replace("%%", "%"))

    def begin(self, now: float) -> None:
        self._now = now

    def line(self, answered: AccessRecord) -> str:
        line = "".join(part if isinstance(part, str) else part(answered) for part in self._parts) + "\n"
        return self._priorities[level_of_status(answered.status)] + line if self._priorities else line

    def _atom(self, match: re.Match[str]) -> Callable[[AccessRecord], str]:
        if match["name"] is None:
            return self._date if match["atom"] == "t" else _ATOMS[match["atom"]]
        name, kind = match["name"], match["kind"]
        if kind == "e":
            value = os.environ.get(name, "-")
            return lambda _: value
        wanted = name.lower().encode("latin-1")
        return (lambda a: _request_field(a, wanted)) if kind == "i" else (lambda a: _response_field(a, wanted))

    def _date(self, _: AccessRecord) -> str:
        return format_local("[%d/%b/%Y:%H:%M:%S %z]", self._now)


def level_of_status(status: int) -> str:
    """Level of a request: error if its status is 5xx, warning if 4xx, else info."""
    return "info" if status < 400 else "warning" if status < 500 else "error"


def _level_text(level: str, *, color: bool, receiver: Receiver, short: bool) -> str:
    """Level and process id, between the time and the client."""
    who = "" if short or receiver is Receiver.SYSLOG else f"[{os.getpid()}] "
    if receiver is not Receiver.LINES:
        return _PRIORITIES[level] + who
    name = f"{level.upper():<7}"
    if not color:
        return f" {name} {who}"
    return f" {_LEVELS[level]}{name}{_RESET} " + (f"{_DIM}{who.rstrip()}{_RESET} " if who else "")


def escaped(value: bytes) -> str:
    """Text from a client, escaped for use within quotes."""
    text = value.decode("latin-1")
    return _UNSAFE.sub(lambda match: f"\\x{ord(match[0]):02x}", text) if _UNSAFE.search(text) else text


def _field(fields: list[tuple[bytes, bytes]], wanted: bytes) -> str:
    found = [value for name, value in fields if name == wanted]
    return escaped(b", ".join(found)) if found else "-"


def _request_field(answered: AccessRecord, wanted: bytes) -> str:
    return _field(answered.head.headers, wanted) if answered.head else "-"


def _response_field(answered: AccessRecord, wanted: bytes) -> str:
    lines = answered.response_fields.split(b"\r\n")
    return _field([(name.lower(), value) for name, _, value in (each.partition(b": ") for each in lines)], wanted)


def _request_line(answered: AccessRecord) -> str:
    head = answered.head
    return f"{head.method} {escaped(head.target)} HTTP/{head.version}" if head else "-"


def _target(answered: AccessRecord, part: int) -> str:
    return escaped(answered.head.target.partition(b"?")[part]) if answered.head else "-"


_ATOMS: dict[str, Callable[[AccessRecord], str]] = {
    "h": lambda a: str(a.client[0]) if a.client else "-",
    "l": lambda _: "-",
    "u": lambda _: "-",
    "r": _request_line,
    "m": lambda a: a.head.method if a.head else "-",
    "U": lambda a: _target(a, 0),
    "q": lambda a: _target(a, 2),
    "H": lambda a: f"HTTP/{a.head.version}" if a.head else "-",
    "s": lambda a: str(a.status),
    "B": lambda a: str(a.sent),
    "b": lambda a: str(a.sent or "-"),
    "f": lambda a: _request_field(a, b"referer"),
    "a": lambda a: _request_field(a, b"user-agent"),
    "T": lambda a: str(int(a.took)),
    "M": lambda a: str(int(a.took * 1000)),
    "D": lambda a: str(int(a.took * 1_000_000)),
    "L": lambda a: f"{a.took:.6f}",
    "p": lambda _: f"<{os.getpid()}>",
}
