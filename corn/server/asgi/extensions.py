"""Extensions of ASGI's HTTP messages that corn supports (asgi.readthedocs.io, "Extensions").

    START     http.response.early_hint     -> START
    BODY      http.response.pathsend       -> DONE, or TRAILERS
    BODY      http.response.zerocopysend   -> BODY while more_body, else DONE, or TRAILERS
    TRAILERS  http.response.trailers       -> TRAILERS while more_trailers, else DONE

A scope offers those that the request allows: early hints and trailers not in HTTP/1.0, and trailers only if the client
accepts them (RFC 9110, 6.5.1 and 10.1.4). `http.response.debug` is never offered: it is for clients in the same
process, such as test clients.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import ClassVar

from corn.server.asgi.cycle import RequestCycle, Stage
from corn.server.asgi.types import Message
from corn.server.http.response_fields import TRAILERS, encode_fields


class ExtendedCycle(RequestCycle):
    """Request/response cycle that also takes the messages of the extensions."""

    _trailer_block = b""

    def _take_early_hint(self, message: Message) -> None:
        if not self.head.minor:
            raise RuntimeError("HTTP/1.0 has no early hints, and the scope did not offer them")
        block, _, _ = encode_fields([(b"link", link) for link in message["links"]])
        self._write_hint(block)

    async def _take_path(self, message: Message) -> None:
        with Path(message["path"]).open("rb", buffering=0) as file:
            count = self._announced(os.fstat(file.fileno()).st_size)
            await self._send_file(file.fileno(), 0, count, more=False)

    async def _take_zero_copy(self, message: Message) -> None:
        file, offset, count = message["file"], message.get("offset"), message.get("count")
        fd = file if isinstance(file, int) else file.fileno()
        start = os.lseek(fd, 0, os.SEEK_CUR) if offset is None else offset
        available = max(os.fstat(fd).st_size - start, 0)
        count = self._announced(available) if count is None else min(count, available)
        await self._send_file(fd, start, count, more=message.get("more_body", False))
        if offset is None:
            os.lseek(fd, start + count, os.SEEK_SET)

    def _announced(self, available: int) -> int:
        """Bytes of a file to send, at most the announced length: the file may have grown since."""
        return available if self._remaining < 0 else min(available, self._remaining)

    async def _send_file(self, fd: int, offset: int, count: int, *, more: bool) -> None:
        await self._write_file(fd, offset, count, more=more)
        if not more:
            self._remaining = 0
            self._take_body({"type": "http.response.body"})

    def _take_trailers(self, message: Message) -> None:
        block, _, _ = encode_fields(message.get("headers", ()))
        self._trailer_block += block
        if not message.get("more_trailers", False):
            self._write_trailers(self._trailer_block)
            self._flags &= ~TRAILERS
            self._finish()

    def _write_hint(self, block: bytes) -> None:
        """Write an informational response with these field lines."""
        raise NotImplementedError

    async def _write_file(self, fd: int, offset: int, count: int, *, more: bool) -> None:
        """Write `count` bytes of a file as a part of the body, after the head if that is not written yet."""
        raise NotImplementedError

    def _write_trailers(self, block: bytes) -> None:
        """Write these field lines, and the end of the response."""
        raise NotImplementedError

    START: ClassVar[Stage] = {**RequestCycle.START, "http.response.early_hint": _take_early_hint}
    BODY: ClassVar[Stage] = {
        **RequestCycle.BODY,
        "http.response.pathsend": _take_path,
        "http.response.zerocopysend": _take_zero_copy,
    }
    TRAILERS: ClassVar[Stage] = {"http.response.trailers": _take_trailers}
