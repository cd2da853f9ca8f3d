"""ASGI application of the admin address: endpoints for monitoring, and a dashboard page. Read-only.

Clients are not authenticated, so no endpoint acts, and none shows the content of requests, but for ids of traces.
A page of another origin may have a browser send a request, but cannot read the response: no response allows it (CORS).

The service is ready if it can serve requests and will continue to. It is not ready while it starts, nor after a stop
was requested, even if it accepts connections until --drain-delay is over, so that load balancers remove it in time. A
reload does not affect readiness, because the old workers serve until the new ones are ready.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from corn.admin.metrics import exposition
from corn.admin.status_client import MasterUnresponsive, StatusClient
from corn.config import Config
from corn.server.asgi.types import Receive, Scope, Send

_HERE = Path(__file__).parent
_PAGE_POLICY = b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:"
_FILES = {
    "/": ("dashboard.html", "text/html; charset=utf-8"),
    "/dashboard.css": ("dashboard.css", "text/css; charset=utf-8"),
    "/charts.js": ("charts.js", "text/javascript; charset=utf-8"),
    "/dashboard.js": ("dashboard.js", "text/javascript; charset=utf-8"),
}
_TEXT = "text/plain; charset=utf-8"

_UNREADY = ("starting", "stopping")

Answer = tuple[int, str, bytes]


class Application:
    """ASGI application that answers from the master's status."""

    def __init__(self, client: StatusClient, config: Config) -> None:
        self._client = client
        self._required_workers = config.admin_ready_workers
        self._files = {path: (kind, (_HERE / name).read_bytes()) for path, (name, kind) in _FILES.items()}
        self._answers: dict[str, Callable[[Scope], Awaitable[Answer]]] = {
            "/livez": self._livez,
            "/readyz": self._readyz,
            "/status": self._status,
            "/metrics": self._metrics,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del receive
        status, kind, body = await self._answer(scope)
        headers = [
            (b"content-type", kind.encode()),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
            (b"x-content-type-options", b"nosniff"),
            (b"content-security-policy", _PAGE_POLICY),
        ]
        if status == 405:
            headers.append((b"allow", b"GET, HEAD"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    async def _answer(self, scope: Scope) -> Answer:
        path = scope["path"]
        if path not in self._answers and path not in self._files:
            known = ", ".join(["/", *self._answers])
            return 404, _TEXT, f"not found; the paths are {known}\n".encode()
        if scope["method"] not in ("GET", "HEAD"):
            return 405, _TEXT, b"this address is read-only; use GET\n"
        if path in self._files:
            return 200, *self._files[path]
        try:
            return await self._answers[path](scope)
        except MasterUnresponsive as error:
            return 503, _TEXT, f"{error}\n".encode()

    async def _livez(self, scope: Scope) -> Answer:
        del scope
        await self._client.status()
        return 200, _TEXT, b"the master responds\n"

    async def _readyz(self, scope: Scope) -> Answer:
        del scope
        is_ready, text = readiness(await self._client.status(), self._required_workers)
        return 200 if is_ready else 503, _TEXT, f"{text}\n".encode()

    async def _status(self, scope: Scope) -> Answer:
        del scope
        status = await self._client.status_with_memory()
        return 200, "application/json", json.dumps(status).encode()

    async def _metrics(self, scope: Scope) -> Answer:
        accept = dict(scope["headers"]).get(b"accept", b"").decode("latin-1")
        body, kind = exposition(await self._client.status_with_memory(), accept)
        return 200, kind, body


def readiness(status: dict[str, Any], needed: int) -> tuple[bool, str]:
    """True if the service is ready, with `needed` workers or all if there are fewer; and the reason in words."""
    ready, target = status["ready"], status["target"]
    text = f"{ready} of {target} workers are ready"
    if status["phase"] in _UNREADY:
        return False, f"{status['phase']}: {text}"
    needed = min(needed, target)
    if ready < needed:
        return False, f"{text}, {needed} are required (--admin-ready-workers)"
    return True, text
