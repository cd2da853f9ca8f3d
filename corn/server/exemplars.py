"""Exemplars of the latency histogram (OpenMetrics 1.0): for each bucket the last traced request that fell into it.

A request is traced if its field `traceparent` (W3C Trace Context) has the flag `sampled`: other traces are recorded
nowhere. Spans that the application begins by itself are unknown here.
"""

from __future__ import annotations

import re
import time
from bisect import bisect_left

from corn.ipc.scoreboard import EXEMPLAR_WORDS, LATENCY_BOUNDS, Field

# Version, trace-id, parent-id and flags; neither id is zero, and later versions may append fields.
_TRACEPARENT = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")
_SAMPLED = 1


def keep_exemplar(words: memoryview, traceparent: bytes, took: float) -> None:
    """Keep a finished request as the exemplar of its bucket, if it is traced; `took` is in seconds."""
    match = _TRACEPARENT.fullmatch(traceparent)
    if match is None or not int(match[3], 16) & _SAMPLED:
        return
    first = Field.EXEMPLARS + bisect_left(LATENCY_BOUNDS, took) * EXEMPLAR_WORDS
    words[first] += 1
    words[first + 1] = int(match[1][:16], 16)
    words[first + 2] = int(match[1][16:], 16)
    words[first + 3] = int(match[2], 16)
    words[first + 4] = int(took * 1_000_000)
    words[first + 5] = int(time.time() * 1000)
    words[first] += 1
