"""Scoreboard: shared-memory table of the workers' counters, one cell per worker.

A worker writes its cell with plain stores into mapped memory: no message, no system call, and the master reads it even
when the worker is blocked. Each field has one writer, and is one aligned 8-byte word, so a reader never sees half a
value. The file has no name (memfd_create(2), or a file unlinked at once where there is none); templates inherit its
descriptor.

A header before the cells holds the number of cells ever used, so that no process touches the memory of the others.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from enum import IntEnum

from corn.system.memfd import anonymous_file

CELLS = 2048
_WORDS = 240
_CELL_BYTES = _WORDS * 8
_HEADER_BYTES = 64


class Field(IntEnum):
    """Word numbers within a cell."""

    ACCEPTING = 0  # 1 while the worker accepts connections
    HEARTBEAT_MS = 1  # CLOCK_MONOTONIC milliseconds, written by the event loop
    CONNECTIONS = 2  # open now
    ACTIVE = 3  # requests being answered now
    REQUESTS = 4  # requests answered since the worker started
    WEBSOCKETS = 5  # WebSockets open now
    MESSAGES = 6  # messages received over WebSockets since the worker started
    BYTES_SENT = 7  # of the bodies of all responses
    BUSY_US = 8  # microseconds from the head of a request to the end of its response, over all requests
    LAG_US = 9  # delay of the event loop's last tick
    LOAD_PERMILLE = 10  # share of the time before that tick in which the loop worked or was blocked
    ANSWERS = 16  # the first of 8 times 16 words: requests by the first digit of their status, then by the time it took
    EXEMPLARS = 144  # the first of 16 times EXEMPLAR_WORDS words: a traced request by the time it took


# Upper bounds in seconds, each included; longer times than the last are counted in one word more.
LATENCY_BOUNDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
# Of each exemplar: a count that is odd while the others are written, the trace's id in two words, the id of the parent
# span, the duration in microseconds, and the time since the epoch in milliseconds.
EXEMPLAR_WORDS = 6


class ScoreboardEntry:
    """Counters of one worker, as a sequence of words indexed by `Field`."""

    __slots__ = ("words",)

    def __init__(self, words: memoryview) -> None:
        self.words = words

    def clear(self) -> None:
        for index in range(_WORDS):
            self.words[index] = 0


class Scoreboard:
    """Table of all cells: made by the master, mapped by templates, inherited by workers through fork."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._map = mmap.mmap(fd, _HEADER_BYTES + CELLS * _CELL_BYTES)
        words = memoryview(self._map).cast("Q")
        self._header, self._words = words[: _HEADER_BYTES // 8], words[_HEADER_BYTES // 8 :]

    @classmethod
    def create(cls) -> Scoreboard:
        """Create a table of cleared cells; its descriptor is closed on exec unless it is passed on."""
        fd = anonymous_file("corn-slots")
        os.ftruncate(fd, _HEADER_BYTES + CELLS * _CELL_BYTES)
        slots = cls(fd)
        slots.take(0)
        return slots

    def take(self, index: int) -> None:
        """Record that a cell is about to be used; for the master alone."""
        self._header[0] = max(self._header[0], index + 1)

    def cell(self, index: int) -> ScoreboardEntry:
        return ScoreboardEntry(self._words[index * _WORDS : (index + 1) * _WORDS])

    def accepting(self) -> Iterator[ScoreboardEntry]:
        """Cells of all workers that accept connections now."""
        for index in range(self._header[0]):
            if self._words[index * _WORDS]:
                yield self.cell(index)

    def close(self) -> None:
        """Close the descriptor; the memory is freed with the last cell."""
        os.close(self.fd)
