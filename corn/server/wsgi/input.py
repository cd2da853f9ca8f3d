"""`wsgi.input` (PEP 3333, "Input and Error Streams"): a request's body as a file, at its end where the body ends."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import BinaryIO

WholeBody = io.BytesIO

_BUFFER = 65536


def body_in_parts(first: list[bytes], pull: Callable[[], tuple[bytes, bool]]) -> BinaryIO:
    """A body that begins with `first`; `pull` yields the next part and whether there is more, when it is read."""
    return io.BufferedReader(_Parts(b"".join(first), pull), _BUFFER)


class _Parts(io.RawIOBase):
    """No more of the body is held than one part."""

    def __init__(self, first: bytes, pull: Callable[[], tuple[bytes, bool]]) -> None:
        self._held = memoryview(first)
        self._pull = pull
        self._more = True

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._held and self._more:
            part, self._more = self._pull()
            self._held = memoryview(part)
        size = min(len(buffer), len(self._held))
        buffer[:size] = self._held[:size]
        self._held = self._held[size:]
        return size
