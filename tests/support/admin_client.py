"""Real corn with an admin endpoint, and a client of that endpoint."""

from __future__ import annotations

import json
from pathlib import Path

import psutil
from prometheus_client.parser import text_string_to_metric_families

from tests.support.corn_process import Served
from tests.support.http_client import Client

# The workers start only when the file `go` exists.
APP = """
import asyncio, os

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while not os.path.exists("go"):
            await asyncio.sleep(0.02)
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    if scope["path"] == "/slow":
        await asyncio.sleep(0.03)
    status = 404 if scope["path"] == "/missing" else 200
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})
"""


class Monitored(Served):
    """`corn serve` of `app`, with the client `admin` of its admin endpoint."""

    def __init__(self, directory: Path, *arguments: str, admin: str = "0", app: str = APP) -> None:
        (directory / "main.py").write_text(app)
        more = ("--port", "0", "--control", "off", "--no-access-log", "--soak", "0", "--admin", admin)
        super().__init__(directory, "main:app", *more, *arguments)

    def wait_ready(self) -> Monitored:
        super().wait_ready()
        self.admin = Client(self.wait_for(r"admin endpoint at (\S+)")[1])
        return self

    def status(self) -> dict:
        return json.loads(self._figures("/status"))

    def samples(self) -> dict[tuple[str, ...], float]:
        """Samples of /metrics, by name and label values."""
        families = text_string_to_metric_families(self._figures("/metrics"))
        return {(each.name, *each.labels.values()): each.value for family in families for each in family.samples}

    def _figures(self, path: str) -> str:
        """Body of a response, once the master responds in time: on a loaded machine it may stand still longer."""
        found: list[tuple[int, bytes]] = []

        def responds() -> bool:
            found.append(self.admin.request(path))
            return found[-1][0] != 503

        self.wait_until(responds, "the master responds")
        status, body = found[-1]
        assert status == 200, body
        return body.decode()

    def readiness(self) -> int:
        """Status of /readyz, or 0 without a response."""
        try:
            return self.admin.request("/readyz")[0]
        except OSError:
            return 0

    def admin_process(self) -> psutil.Process | None:
        return next(iter(self.named("corn admin")), None)
