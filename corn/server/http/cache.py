"""Bounded cache of computed values."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

_K = TypeVar("_K")
_V = TypeVar("_V")

_MOST = 512
_LONGEST = 1024  # bytes


class BoundedCache(dict[_K, _V]):
    """Dict that computes the values it lacks, so that a look-up of a known key calls no Python function.

    Keys come from applications and, through them, from peers: neither their number nor their size is limited there. So
    values whose `size` is more than a kilobyte are not kept, and a full cache begins again.
    """

    __slots__ = ("_compute", "_size")

    def __init__(self, compute: Callable[[_K], _V], size: Callable[[_V], int]) -> None:
        super().__init__()
        self._compute = compute
        self._size = size

    def __missing__(self, key: _K) -> _V:
        value = self._compute(key)
        if self._size(value) <= _LONGEST:
            if len(self) >= _MOST:
                self.clear()
            self[key] = value
        return value
