"""ASGI extension `corn.drain`: an event in the scope, which is set when the worker begins to drain.

An application learns of the drain by it without an import of corn, so that one program runs under other servers too:
`scope["extensions"]["corn.drain"]["event"]`. Values of extensions are dicts (ASGI, "Extensions"). `scope["state"]` was
rejected: its names belong to the application, and it is there only where the application has a lifespan.

One object is in the scopes of all requests, so that a request pays for one more reference.
"""

from __future__ import annotations

import asyncio
from typing import Any

DRAIN = "corn.drain"


class DrainEvent(asyncio.Event):
    """Event of one server; `is_set` may be called from any thread. A deep copy of a scope holds the event itself."""

    def __deepcopy__(self, memo: dict[int, Any]) -> DrainEvent:
        return self

    def extension(self) -> dict[str, Any]:
        """Value of the extension."""
        return {"event": self}
