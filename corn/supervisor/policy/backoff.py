"""Restart backoff of a slot whose worker crashed or was killed, as functions of time.

A worker that crashes after it served is replaced at once. If its replacements crash too, the delay is 0.25 s, doubles
each time up to 30 s, and is reset after a minute without a crash. A worker that never became ready is delayed from its
first failure on. A kill from outside (by an operator, a chaos test, the out-of-memory killer) says little about the
code, so the backoff applies only after ten such exits in ten seconds.
"""

from __future__ import annotations

from corn.frozen import frozen

FIRST_DELAY = 0.25
MAX_DELAY = 30.0
HEALTHY_AFTER = 60.0
KILLS_FORGIVEN = 10
KILLS_PERIOD = 10.0


@frozen
class Restarts:
    """Restart history of a slot: consecutive crashes, recent kills from outside, and the earliest time of a restart."""

    streak: int = 0
    kills: tuple[float, ...] = ()
    not_before: float = 0.0


def delay_after(streak: int, spread: float = 0.0) -> float:
    """Seconds to wait before the attempt that follows `streak` earlier delays; `spread` (0 to 1) adds up to a fifth."""
    return float(min(FIRST_DELAY * 2 ** min(streak, 16), MAX_DELAY)) * (1 + 0.2 * spread)


def after_kill(restarts: Restarts, at: float, ready_for: float, spread: float) -> Restarts:
    """The history after a ready worker was killed from outside."""
    kills = (*(then for then in restarts.kills if at - then < KILLS_PERIOD), at)
    if len(kills) <= KILLS_FORGIVEN:
        return Restarts(restarts.streak, kills, at)
    return after_crash(Restarts(restarts.streak, kills, at), at, ready_for, spread)


def after_crash(restarts: Restarts, at: float, ready_for: float | None, spread: float) -> Restarts:
    """The history after a worker exited by itself; `ready_for` is how long it had been ready, None if it never was."""
    streak = 0 if ready_for is not None and ready_for >= HEALTHY_AFTER else restarts.streak
    delays = streak if ready_for is None else streak - 1
    wait = delay_after(delays, spread) if delays >= 0 else 0.0
    return Restarts(streak + 1, restarts.kills, at + wait)
