"""What /readyz answers, from the status. Pure.

Ready is who can take requests and goes on to: not while the service starts, nor from the moment it was asked to stop,
even if it accepts connections until --drain-delay is over, so that a balancer looks elsewhere in time. A reload changes
nothing, because the old workers serve until the new ones do.
"""

from __future__ import annotations

from typing import Any

_UNREADY = ("starting", "stopping")


def readiness(status: dict[str, Any], needed: int) -> tuple[bool, str]:
    """Whether the service is ready, with `needed` workers or all if there are fewer; and why, or why not."""
    ready, target = status["ready"], status["target"]
    told = f"{ready} of {target} workers are ready"
    if status["phase"] in _UNREADY:
        return False, f"{status['phase']}: {told}"
    needed = min(needed, target)
    if ready < needed:
        return False, f"{told}, {needed} are needed (--admin-ready-workers)"
    return True, told
