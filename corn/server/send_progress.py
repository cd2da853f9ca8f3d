"""Progress of a peer that reads slowly: a connection is cut for a peer that takes too little, never for a slow one.

A peer takes too little when it has not taken `--timeout-send` times `--min-send-rate` bytes within `--timeout-send` of
what waits for it. So a large response may take as long as the peer's line needs, and a peer that keeps a connection
open by reading a byte now and then is cut.
"""

from __future__ import annotations

from corn.config import Config

LOOK_AGAIN = 1.0  # seconds between two looks at a connection with output that waits


class SendProgress:
    """What a peer has taken of the output that waits for it; times are of `Clock.now`."""

    __slots__ = ("_enough", "_stalls_at", "_timeout", "_unsent")

    def __init__(self, config: Config, now: float) -> None:
        self._timeout = config.timeout_send
        self._enough = max(1, int(config.min_send_rate * config.timeout_send))
        self._unsent = 0
        self._stalls_at = now + config.timeout_send

    def is_made(self, unsent: int, now: float) -> bool:
        """Whether the peer takes what waits, which is so many bytes now; False too where nothing waits."""
        if self._unsent - unsent >= self._enough:
            self._unsent, self._stalls_at = unsent, now + self._timeout
        elif unsent > self._unsent:
            self._unsent = unsent
        return unsent > 0 and now < self._stalls_at
