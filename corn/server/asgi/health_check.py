"""Health check of the application before a worker accepts connections."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any

from corn.diagnosis.user_traceback import user_traceback
from corn.errors import ApplicationError
from corn.server.asgi.drain_event import DRAIN, DrainEvent
from corn.server.asgi.types import HTTP_SPEC, ASGIApplication

TIMEOUT = 10.0
_FAILING = 500


async def check_health(
    app: ASGIApplication, path: str, root_path: str, state: dict[str, Any] | None, drain: DrainEvent
) -> None:
    """Send a GET through the application as ASGI messages; raises ApplicationError unless it answers below 500."""
    try:
        status = await asyncio.wait_for(_ask(app, path, root_path, state, drain), TIMEOUT)
    except asyncio.TimeoutError:
        raise ApplicationError(f"the health check GET {path} was not answered within {TIMEOUT:g} s") from None
    except Exception as error:
        raise ApplicationError(f"the health check GET {path} failed: {error!r}", user_traceback(error)) from error
    if status >= _FAILING:
        raise ApplicationError(f"the health check GET {path} answered {status}")


async def _ask(
    app: ASGIApplication, target: str, root_path: str, state: dict[str, Any] | None, drain: DrainEvent
) -> int:
    path, _, query = target.partition("?")
    statuses: list[int] = []
    asked = False

    async def receive() -> MutableMapping[str, Any]:
        nonlocal asked
        if asked:
            await asyncio.Event().wait()
        asked = True
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            statuses.append(int(message["status"]))

    scope: dict[str, Any] = {
        "type": "http",
        "asgi": HTTP_SPEC,
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": root_path + path,
        "raw_path": (root_path + path).encode(),
        "query_string": query.encode(),
        "root_path": root_path,
        "headers": [(b"host", b"localhost"), (b"user-agent", b"corn-health-check")],
        "client": ("127.0.0.1", 0),
        "server": ("localhost", 0),
        "extensions": {DRAIN: drain.extension()},
    }
    if state is not None:
        scope["state"] = dict(state)
    await app(scope, receive, send)
    return statuses[0] if statuses else _FAILING
