"""The shared-memory table in which workers keep their counters, one cell a worker.

A worker writes its cell with plain stores into mapped memory: no message, no system call, and the master reads it even
when the worker is stuck. Each field has one writer, and is one aligned 8-byte word, so a reader never sees half a
value. The file has no name (memfd_create(2), or a file unlinked at once where there is none); templates inherit its
descriptor.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from collections.abc import Iterator
from enum import IntEnum

CELLS = 2048
_WORDS = 32
_CELL_BYTES = _WORDS * 8


class Field(IntEnum):
    """Word numbers within a cell."""

    ACCEPTING = 0  # 1 while the worker accepts connections
    HEARTBEAT_MS = 1  # CLOCK_MONOTONIC milliseconds, written by the event loop
    CONNECTIONS = 2  # open now
    ACTIVE = 3  # requests being answered now
    REQUESTS = 4  # requests answered since the worker started
    WEBSOCKETS = 5  # WebSockets open now
    MESSAGES = 6  # messages received over WebSockets since the worker started


class Cell:
    """One worker's counters, as a sequence of words indexed by `Field`."""

    __slots__ = ("words",)

    def __init__(self, words: memoryview) -> None:
        self.words = words

    def clear(self) -> None:
        for index in range(_WORDS):
            self.words[index] = 0


class Slots:
    """The whole table: made by the master, mapped by templates, inherited by workers through fork."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._map = mmap.mmap(fd, CELLS * _CELL_BYTES)
        self._words = memoryview(self._map).cast("Q")

    @classmethod
    def create(cls) -> Slots:
        """A table of cleared cells; its descriptor is closed on exec unless it is passed on."""
        if hasattr(os, "memfd_create"):
            fd = os.memfd_create("corn-slots", os.MFD_CLOEXEC)
        else:
            fd, path = tempfile.mkstemp(prefix="corn-slots-")
            os.unlink(path)  # noqa: PTH108 - the file must have no name
        os.ftruncate(fd, CELLS * _CELL_BYTES)
        return cls(fd)

    def cell(self, index: int) -> Cell:
        return Cell(self._words[index * _WORDS : (index + 1) * _WORDS])

    def accepting(self) -> Iterator[Cell]:
        """The cells of all workers that accept connections now."""
        for index in range(CELLS):
            if self._words[index * _WORDS]:
                yield self.cell(index)

    def close(self) -> None:
        """Close the descriptor; the memory goes when the last cell does."""
        os.close(self.fd)
