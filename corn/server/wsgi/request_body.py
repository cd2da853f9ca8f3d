"""`wsgi.input` (PEP 3333, "Input and Error Streams"): a request's body as a file that ends where the body ends.

A body whose length is known is read as the application reads it. A chunked body is read before the application is
called, which then has a CONTENT_LENGTH: Django and others take a request without one for a request without a body,
whatever `wsgi.input_terminated` says. So one that is longer than `buffer` is refused: they would lose it silently.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable
from typing import Any, BinaryIO

from corn.server.asgi.types import ClientDisconnected, Receive
from corn.server.http.errors import HTTPError

READ_AHEAD = 65536  # bytes of a body to wait for before a thread is used, so that slow senders do not block one
IN_MEMORY = 1 << 20  # bytes of a buffered body that are held in memory; a longer one is in a temporary file
_INPUT_BUFFER = 65536


Pull = Callable[[], tuple[bytes, bool]]


def has_body(environ: dict[str, Any]) -> bool:
    """False for a request that has no body by its head: over HTTP/1 alone (RFC 9112, 6.3)."""
    return (
        "CONTENT_LENGTH" in environ
        or "HTTP_TRANSFER_ENCODING" in environ
        or environ["SERVER_PROTOCOL"] not in ("HTTP/1.1", "HTTP/1.0")
    )


async def read_input(environ: dict[str, Any], receive: Receive, pull: Pull, buffer: int) -> BinaryIO:
    """Input of a request; `pull` returns the next part of the body, and True if there is more, in the thread.

    Raises HTTPError for a body that is too long to be buffered.
    """
    if "CONTENT_LENGTH" not in environ and buffer:
        return await _buffered(environ, receive, buffer)
    parts: list[bytes] = []
    # A client that waits for 100 Continue receives it when the application reads the body.
    if "HTTP_EXPECT" in environ or await _read_ahead(receive, parts):
        return _in_parts(io.BytesIO(b"".join(parts)), pull)
    return io.BytesIO(b"".join(parts))


async def _read_ahead(receive: Receive, parts: list[bytes]) -> bool:
    """Collect the beginning of a body in `parts`; returns True if there is more."""
    size = 0
    while size < READ_AHEAD:
        body, more = await _next(receive)
        parts.append(body)
        if not more:
            return False
        size += len(body)
    return True


async def _buffered(environ: dict[str, Any], receive: Receive, buffer: int) -> BinaryIO:
    body, more = await _next(receive)
    if not more and not body and "HTTP_TRANSFER_ENCODING" not in environ:
        return io.BytesIO()
    size, file = len(body), _Buffer(body)
    try:
        while more:
            body, more = await _next(receive)
            size += len(body)
            if size > buffer:
                raise HTTPError(413, "a body without Content-Length may be no longer than --wsgi-buffer-body")
            file.write(body)
    except BaseException:
        file.close()
        raise
    environ["CONTENT_LENGTH"] = str(size)
    environ.pop("HTTP_TRANSFER_ENCODING", None)  # some frameworks would decode the chunks again
    return file.rewound()


async def _next(receive: Receive) -> tuple[bytes, bool]:
    message = await receive()
    if message["type"] != "http.request":
        raise ClientDisconnected
    return message.get("body", b""), message.get("more_body", False)


class _Buffer:
    """Buffer of the beginning of a body: in memory, and in a temporary file when it grows."""

    def __init__(self, first: bytes) -> None:
        self._file: BinaryIO = io.BytesIO(first)
        self._file.seek(0, io.SEEK_END)

    def write(self, body: bytes) -> None:
        try:
            if isinstance(self._file, io.BytesIO) and self._file.tell() + len(body) > IN_MEMORY:
                self._move()
            self._file.write(body)
        except OSError as error:  # OSError would mean a disconnected client
            raise RuntimeError(f"cannot buffer the request body in {tempfile.gettempdir()}: {error}") from error

    def rewound(self) -> BinaryIO:
        self._file.seek(0)
        return self._file

    def close(self) -> None:
        self._file.close()

    def _move(self) -> None:
        assert isinstance(self._file, io.BytesIO)
        held = self._file.getbuffer()
        self._file = tempfile.TemporaryFile(prefix="corn-body-")  # noqa: SIM115 - the request's thread closes it
        self._file.write(held)


def _in_parts(first: BinaryIO, pull: Pull) -> BinaryIO:
    return io.BufferedReader(_Parts(first, pull), _INPUT_BUFFER)


class _Parts(io.RawIOBase):
    """Body whose beginning is in a file; at most one part of the rest is buffered."""

    def __init__(self, first: BinaryIO, pull: Pull) -> None:
        self._first: BinaryIO | None = first
        self._held = memoryview(b"")
        self._pull = pull
        self._more = True

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        if self._first is not None:
            self._first.close()
        super().close()

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if self._first is not None:
            if beginning := self._first.read(len(buffer)):
                buffer[: len(beginning)] = beginning
                return len(beginning)
            self._first.close()
            self._first = None
        while not self._held and self._more:
            part, self._more = self._pull()
            self._held = memoryview(part)
        size = min(len(buffer), len(self._held))
        buffer[:size] = self._held[:size]
        self._held = self._held[size:]
        return size
