"""How much a peer may ask for without asking for a response.

HTTP/2 lets a peer cause work with a few bytes: streams opened and reset at once (CVE-2023-44487), or made to be reset
by the server (CVE-2025-8671), pings and settings that are to be acknowledged, empty frames, window updates by the byte.
None of them is wrong by itself, so each costs some patience, and whatever an honest peer does besides earns some: a
response that it took, a frame of data, time. When none is left the connection ends with ENHANCE_YOUR_CALM (RFC 9113,
10.5).

A limit for each kind of frame was the alternative: as many numbers as kinds, and a mixture passes below all of them.
"""

from __future__ import annotations

from corn.server.http2.frames import ErrorCode, HTTP2ConnectionError

MOST = 1000
EACH_SECOND = 10

# What costs
TRIFLE = 1  # a frame that asks for nothing or for an acknowledgement
ABANDONED = 4  # a stream that was reset before its response was complete
FAULT = 10  # a stream that corn had to reset

# What earns
RESPONSE = 8
SENT = 4  # a DATA frame: two windows may be updated for it, and a ping sent


class FloodGuard:
    """What is left; `now` is in seconds, of any clock that does not go back."""

    __slots__ = ("_left", "_since")

    def __init__(self, now: float) -> None:
        self._left = MOST
        self._since = now

    def earn(self, amount: int) -> None:
        left = self._left + amount
        self._left = min(MOST, left)

    def spend(self, amount: int, now: float) -> None:
        """Raises ConnectionFault when there is not enough left."""
        self._left -= amount
        if self._left < 0:
            self._left = min(self._left + int((now - self._since) * EACH_SECOND), MOST)
            self._since = now
            if self._left < 0:
                raise HTTP2ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, "too many frames for what is done with them")
