"""HTTP/2 flood protection: a budget for frames that ask for work and not for a response (RFC 9113, 10.5).

HTTP/2 lets a peer cause work with a few bytes: streams opened and reset at once (CVE-2023-44487), or made to be reset
by the server (CVE-2025-8671), pings and settings that are to be acknowledged, empty frames, window updates by the byte,
header fields of one byte each. None of them is wrong by itself, so each takes from the budget, and whatever an honest
peer does besides adds to it: a response that it took, a frame of data, time. When none is left the connection is closed
with ENHANCE_YOUR_CALM.

Rejected: a limit for each kind of frame. There are as many numbers as kinds, and a mixture passes below all of them.
"""

from __future__ import annotations

from corn.server.http2.frames import ErrorCode, HTTP2ConnectionError

MOST = 1000
EACH_SECOND = 10

# What costs
TRIFLE = 1  # a frame that asks for nothing or for an acknowledgement
ABANDONED = 4  # a stream that was reset before its response was complete
FAULT = 10  # a stream that corn had to reset
FIELDS_A_TRIFLE = 8  # as many header fields beyond --limit-header-count cost as much as a trifle

# What earns
RESPONSE = 8
SENT = 4  # a DATA frame that the window did not cut short: two windows may be updated for it, and a ping sent
SHORT = 256  # bytes in a DATA frame; one that the window cut to fewer earns nothing (CVE-2019-9511)


class FloodGuard:
    """Budget of a connection; `now` is in seconds, of any clock that does not go back."""

    __slots__ = ("_left", "_since")

    def __init__(self, now: float) -> None:
        self._left = MOST
        self._since = now

    def earn(self, amount: int) -> None:
        left = self._left + amount
        self._left = min(MOST, left)

    def spend(self, amount: int, now: float) -> None:
        """Raises HTTP2ConnectionError when there is not enough left."""
        self._left -= amount
        if self._left < 0:
            self._left = min(self._left + int((now - self._since) * EACH_SECOND), MOST)
            self._since = now
            if self._left < 0:
                raise HTTP2ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, "too many frames that request no response")
