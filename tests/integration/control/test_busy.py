"""The share of its time that a worker is busy, as status, metrics and the admin address report it."""

from __future__ import annotations

import threading

from tests.support.admin_client import Monitored

BLOCKING = """
import asyncio, os, time

async def app(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError
    if scope["path"] == "/blocks":
        while not os.path.exists("released"):
            time.sleep(0.01)
    if scope["path"] == "/computes":
        while not os.path.exists("released"):
            for _ in range(100_000):
                pass
            await asyncio.sleep(0)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})
"""


def served(directory):
    return Monitored(directory, "--timeout-worker", "0", app=BLOCKING)


def busy(running):
    (worker,) = running.status()["workers"]
    return worker["busy"]


def request(running, path):
    asking = threading.Thread(target=lambda: running.client().get(path))
    asking.start()
    return asking


def test_blocked_worker_reports_full_busy_share(tmp_path):
    with served(tmp_path).wait_ready() as running:
        running.wait_until(lambda: busy(running) < 0.5, "idle")
        asking = request(running, "/blocks")
        running.wait_until(lambda: busy(running) == 1.0, "blocked")
        assert running.samples()["corn_worker_busy_ratio", "0"] == 1.0
        (tmp_path / "released").touch()
        running.wait_until(lambda: busy(running) < 0.5, "idle again")
        asking.join()


def test_computing_worker_reports_busy_share(tmp_path):
    with served(tmp_path).wait_ready() as running:
        asking = request(running, "/computes")
        running.wait_until(lambda: busy(running) > 0.3, "it computes")
        (worker,) = running.status()["workers"]
        assert worker["silent"] < 20
        (tmp_path / "released").touch()
        asking.join()
        running.wait_until(lambda: busy(running) < 0.3, "it is idle")
