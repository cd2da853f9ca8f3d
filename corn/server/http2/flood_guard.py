"""HTTP/2 flood protection: a budget for frames that cause work without requesting a response (RFC 9113, 10.5).

HTTP/2 lets a peer cause work with a few bytes: streams that it resets at once (CVE-2023-44487) or provokes the server
to reset (CVE-2025-8671), pings and settings that must be acknowledged, empty frames, window updates of one byte, header
fields of one byte. Each of them is valid, so it is charged to the budget. What honest peers do adds to the budget:
responses that they receive, DATA frames, and time. When the budget is used up, the connection is closed with
ENHANCE_YOUR_CALM.

Rejected: a limit for each kind of frame. It needs as many numbers as kinds, and a mixture stays below all of them.
"""

from __future__ import annotations

from corn.server.http2.frames import ErrorCode, HTTP2ConnectionError

MAX_BUDGET = 1000
PER_SECOND = 10

# Costs
TRIFLE = 1  # a frame without effect, or one to acknowledge
ABANDONED = 4  # a stream that was reset before its response was complete
FAULT = 10  # a stream that corn had to reset
FIELDS_A_TRIFLE = 8  # this many header fields beyond --limit-header-count cost one TRIFLE

# Credits
RESPONSE = 8
SENT = 4  # a DATA frame that the window did not shorten: the peer may send two window updates and a ping for it
SHORT = 256  # bytes; a DATA frame that the window shortens to less earns nothing (CVE-2019-9511)


class FloodGuard:
    """Budget of a connection; `now` is in seconds, of any clock that does not go back."""

    __slots__ = ("_left", "_since")

    def __init__(self, now: float) -> None:
        self._left = MAX_BUDGET
        self._since = now

    def earn(self, amount: int) -> None:
        left = self._left + amount
        self._left = min(MAX_BUDGET, left)

    def spend(self, amount: int, now: float) -> None:
        """Charge an amount; raises HTTP2ConnectionError if the budget is used up."""
        self._left -= amount
        if self._left < 0:
            self._left = min(self._left + int((now - self._since) * PER_SECOND), MAX_BUDGET)
            self._since = now
            if self._left < 0:
                raise HTTP2ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, "too many frames that request no response")
