"""The requests that a worker is answering, as plain values for a person to read."""

from __future__ import annotations

import time
from typing import Any

from corn.server.context import ServerContext

MOST_TOLD = 1000
_LONGEST_PATH = 300


def requests_in_flight(service: ServerContext) -> list[dict[str, Any]]:
    """The oldest first, and not more than `MOST_TOLD`.

    Each has a method, a path, its age in seconds, the client, the status if the response has begun, and the bytes of
    the body sent so far. Also called from a signal handler, so it changes nothing.
    """
    now = time.monotonic()
    cycles = sorted(service.running, key=lambda each: each.started_at)[:MOST_TOLD]
    return [
        {
            "method": "WEBSOCKET" if cycle.scope["type"] == "websocket" else cycle.head.method,
            "path": str(cycle.scope["path"])[:_LONGEST_PATH],
            "age": round(now - cycle.started_at, 3),
            "client": ":".join(str(part) for part in cycle.scope["client"] or ("-",) if part is not None),
            "status": cycle.status if cycle.committed else None,
            "sent": cycle.sent,
        }
        for cycle in cycles
    ]
