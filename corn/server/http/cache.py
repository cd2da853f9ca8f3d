"""Bounded cache of computed values."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

_K = TypeVar("_K")
_V = TypeVar("_V")

_MAX_VALUES = 512
_MAX_SIZE = 1024


class BoundedCache(dict[_K, _V]):
    """Dict that computes the values it lacks, so that a look-up of a known key calls no Python function.

    Keys come from applications and, through them, from peers: neither their number nor their size is limited there. So
    values whose `size` is more than a kilobyte are not kept, and a cache of `max_values` begins again.
    """

    __slots__ = ("_compute", "_max_values", "_size")

    def __init__(
        self, compute: Callable[[_K], _V], size: Callable[[_V], int], *, max_values: int = _MAX_VALUES
    ) -> None:
        super().__init__()
        self._compute = compute
        self._max_values = max_values
        self._size = size

    def __missing__(self, key: _K) -> _V:
        value = self._compute(key)
        if self._size(value) <= _MAX_SIZE:
            if len(self) >= self._max_values:
                self.clear()
            self[key] = value
        return value
