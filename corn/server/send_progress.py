"""Send timeout by progress: a connection is aborted if its peer reads too little, not because a response takes long.

A peer reads too little when it has not read `--timeout-send` times `--min-send-rate` bytes of the buffered output
within `--timeout-send`. So a large response may take as long as the peer's line needs, and a peer that keeps a
connection open by reading a byte now and then is disconnected.

Time counts while writers wait for the peer. A peer that reads slowly makes the buffer full, lets writers continue and
makes it full again, many times a second where the kernel's buffer is small; the times in between are left out, and the
bytes and times of the others are added up.
"""

from __future__ import annotations

from corn.config import Config

CHECK_INTERVAL = 1.0  # seconds between two checks of a connection with buffered output


class SendProgress:
    """Progress of a peer in reading the output buffered for it; times are of `Clock.now`."""

    __slots__ = ("_left", "_read", "_required", "_stalls_at", "_timeout", "_unsent")

    def __init__(self, config: Config, now: float) -> None:
        self._timeout = self._left = config.timeout_send
        self._required = max(1, int(config.min_send_rate * config.timeout_send))
        self._read = 0  # bytes since `_stalls_at` was last moved
        self._unsent = 0
        self._stalls_at = now + config.timeout_send

    def is_made(self, unsent: int, now: float) -> bool:
        """True if the peer reads the buffered output, `unsent` bytes now; False too where there is none."""
        self._read += max(0, self._unsent - unsent)
        self._unsent = unsent
        if self._read >= self._required:
            self._read, self._stalls_at = 0, now + self._timeout
        return unsent > 0 and now < self._stalls_at

    def pause(self, unsent: int, now: float) -> None:
        """Stop the time, because writers do not wait any more."""
        self.is_made(unsent, now)
        self._left = self._stalls_at - now

    def resume(self, unsent: int, now: float) -> None:
        """Let the time continue, because writers wait again."""
        self._unsent, self._stalls_at = unsent, now + self._left
