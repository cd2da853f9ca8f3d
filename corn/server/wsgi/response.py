"""WSGI response in the thread: calls the application by PEP 3333, and puts its output into the exchange.

The head is sent with the first bytes of the body; until then `start_response` may replace it, and a failure can become
a 500. A response of known length (a Content-Length, or a list of one item) is complete with its last byte.
"""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any
from wsgiref.util import FileWrapper

from corn.server.asgi.types import ClientDisconnected, Message
from corn.server.http.cache import BoundedCache
from corn.server.wsgi.bridge import Exchange, LoopInbox
from corn.server.wsgi.environ import Environ

_MAX_CACHED = 256

ExceptionInfo = tuple[type[BaseException], BaseException, TracebackType]
Head = tuple[str, tuple[tuple[str, str], ...]]  # status line and fields, as an application passes them
WSGIApplication = Callable[[Environ, Callable[..., Callable[[bytes], None]]], Iterable[bytes]]


class Response(Exchange):
    """Response in progress. The caller sets the first three attributes, and then has a thread call `run`."""

    app: WSGIApplication
    environ: Environ
    sends_files: bool  # the loop can send files
    _size = 0  # bytes of the body that were passed on

    def __init__(self, inbox: LoopInbox) -> None:
        Exchange.__init__(self, inbox)  # `super` takes longer
        self._start: Message | None = None  # as the application has set it; shared with other responses
        self._length = -1  # by its Content-Length
        self._has_begun = False  # the head was passed to the loop

    def answer(self) -> None:
        """Call the application and hand over its response; raises its exceptions."""
        answered = self.app(self.environ, self.start_response)
        if type(answered) is list and len(answered) == 1 and self._hand_over_whole(answered[0]):
            return
        try:
            if isinstance(answered, FileWrapper) and self._hand_over_file(answered.filelike):
                self.end()
                self.flush(room=0)  # before it is closed
            else:
                self._hand_over(answered)
                self._begin()
                self.end()
        finally:
            close = getattr(answered, "close", None)
            if close is not None:
                close()

    def start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: ExceptionInfo | None = None
    ) -> Callable[[bytes], None]:
        """Take the head of the response and return `write`, as PEP 3333 asks in its section on this callable."""
        try:
            if exc_info is not None and self._has_begun:
                raise exc_info[1].with_traceback(exc_info[2])
            if exc_info is None and self._start is not None:
                raise RuntimeError("the application called start_response twice, without exc_info")
        finally:
            exc_info = None  # break the reference to this frame
        head = status, tuple(headers)
        try:
            self._start, self._length, _ = _encoded[head]
        except TypeError:  # fields that are lists
            self._start, self._length, _ = _encode(head)
        return self.write

    def write(self, body: bytes) -> None:
        """Hand over a part of the body, before what the application returns; raises ClientDisconnected."""
        self._put_part(body)
        self.flush()
        if self.abandoned:
            raise ClientDisconnected

    def _hand_over_whole(self, body: bytes) -> bool:
        """Hand over the only part of a response; returns False if it needs a closer look."""
        start, length = self._start, self._length
        if type(body) is not bytes or not body or start is None or self._has_begun:
            return False
        if length >= 0 and length != len(body):
            return False
        self.whole = start, body
        self.complete = True
        return True

    def _hand_over(self, answered: Iterable[bytes]) -> None:
        is_whole = isinstance(answered, (list, tuple)) and len(answered) == 1
        for body in answered:
            if self.abandoned:
                break
            self._put_part(body)
            if self._has_begun and self._size == self._length:  # an empty response may still be replaced (PEP 3333)
                self.end()
            elif body and not is_whole:
                self.flush()

    def _put_part(self, body: bytes) -> None:
        if not isinstance(body, bytes):
            raise TypeError(f"a WSGI response consists of bytes, not of {type(body).__name__}")
        if body:
            self._begin()
            self._size += len(body)
            if self._size > self._length >= 0:
                raise RuntimeError("the response body is longer than its Content-Length")
            self.put(body)

    def _begin(self) -> None:
        if self._start is None:
            raise RuntimeError("the application did not call start_response before its response")
        if not self._has_begun:
            self._has_begun = True
            self.put_start(self._start)

    def _hand_over_file(self, file: Any) -> bool:
        """Have the loop send a file (PEP 3333, "Optional Platform-Specific File Handling"); False if it cannot."""
        available = _regular_bytes(file) if self.sends_files and not self._has_begun else -1
        if available < 0:
            return False
        if self._length < 0 and self._start is not None:
            self._length = available
            self._start = {**self._start, "headers": (*self._start["headers"], (b"content-length", b"%d" % available))}
        self._begin()
        if self._length:
            self.put_file(
                {
                    "type": "http.response.zerocopysend",
                    "file": file.fileno(),
                    "offset": file.tell(),
                    "count": self._length,
                    "more_body": True,
                }
            )
        return True


def _encode(head: Head) -> tuple[Message, int, int]:
    """Start of a response as a message of ASGI; its Content-Length, or -1; and the size of the head."""
    line, fields = head
    status = _status(line)
    headers = tuple([(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in fields])
    size = len(line) + sum(len(name) + len(value) for name, value in headers)
    return {"type": "http.response.start", "status": status, "headers": headers}, _length(headers), size


def _status(line: str) -> int:
    """Status code of a status line such as "200 OK"."""
    code = line[:3]
    if len(line) < 3 or not (code.isascii() and code.isdigit()) or line[3:4] not in ("", " "):
        raise ValueError(f"a WSGI status looks like '200 OK', not {line!r}")
    return int(code)


def _length(headers: Iterable[tuple[bytes, bytes]]) -> int:
    """Content-Length, or -1; its validity is checked when the head is sent."""
    for name, value in headers:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return -1


def _regular_bytes(file: Any) -> int:
    """Bytes left of a plain file on disk, or -1 for any other object (a compressed one has a descriptor too)."""
    if not isinstance(file, (io.BufferedReader, io.BufferedRandom, io.FileIO)):
        return -1
    try:
        status = os.fstat(file.fileno())
        return max(status.st_size - file.tell(), 0) if stat.S_ISREG(status.st_mode) else -1
    except (OSError, ValueError):
        return -1


# Cache of `_encode`: most applications send few different heads.
_encoded: BoundedCache[Head, tuple[Message, int, int]] = BoundedCache(
    _encode, lambda encoded: encoded[2], max_values=_MAX_CACHED
)
