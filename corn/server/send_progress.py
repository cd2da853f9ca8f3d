"""Send timeout by progress: a connection is aborted if its peer reads too little, not because a response takes long.

A peer reads too little when it has not read `--timeout-send` times `--min-send-rate` bytes of the buffered output
within `--timeout-send`. So a large response may take as long as the peer's line needs, and a peer that keeps a
connection open by reading a byte now and then is disconnected.
"""

from __future__ import annotations

from corn.config import Config

LOOK_AGAIN = 1.0  # seconds between two checks of a connection with buffered output


class SendProgress:
    """Progress of a peer in reading the output buffered for it; times are of `Clock.now`."""

    __slots__ = ("_enough", "_stalls_at", "_timeout", "_unsent")

    def __init__(self, config: Config, now: float) -> None:
        self._timeout = config.timeout_send
        self._enough = max(1, int(config.min_send_rate * config.timeout_send))
        self._unsent = 0
        self._stalls_at = now + config.timeout_send

    def is_made(self, unsent: int, now: float) -> bool:
        """True if the peer reads the buffered output, `unsent` bytes now; False too where there is none."""
        if self._unsent - unsent >= self._enough:
            self._unsent, self._stalls_at = unsent, now + self._timeout
        elif unsent > self._unsent:
            self._unsent = unsent
        return unsent > 0 and now < self._stalls_at
