"""A real corn with an admin address, and what monitoring reads there."""

from __future__ import annotations

import json
from pathlib import Path

import psutil
from prometheus_client.parser import text_string_to_metric_families

from tests.support.corn_process import Served
from tests.support.http_client import Client

# Its workers are as slow to start as somebody wants: until the file `go` is there.
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
    """`corn serve` of `APP`, with `admin` for what is asked on its admin address."""

    def __init__(self, directory: Path, *arguments: str, admin: str = "0") -> None:
        (directory / "main.py").write_text(APP)
        more = ("--port", "0", "--control", "off", "--no-access-log", "--soak", "0", "--admin", admin)
        super().__init__(directory, "main:app", *more, *arguments)

    def wait_ready(self) -> Monitored:
        super().wait_ready()
        self.admin = Client(self.wait_for(r"admin endpoint at (\S+)")[1])
        return self

    def status(self) -> dict:
        return json.loads(self.admin.get("/status"))

    def samples(self) -> dict[tuple[str, ...], float]:
        """What /metrics says: by name, and values of labels."""
        families = text_string_to_metric_families(self.admin.get("/metrics"))
        return {(each.name, *each.labels.values()): each.value for family in families for each in family.samples}

    def readiness(self) -> int:
        """The status of /readyz, 0 where nobody answers."""
        try:
            return self.admin.request("/readyz")[0]
        except OSError:
            return 0

    def admin_process(self) -> psutil.Process | None:
        return next(iter(self.named("corn admin")), None)
