"""The share of its time that a worker is busy, as status, metrics and the admin address report it."""

from __future__ import annotations

import threading
import time

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
    """Connection with a request, whose response may take as long as the test needs."""
    sock = running.client().connect()
    sock.sendall(f"GET {path} HTTP/1.1\r\nHost: corn\r\nConnection: close\r\n\r\n".encode())
    return sock


def processor_share(process):
    """Share of a second for which a process has had a processor, which on a loaded machine may be small."""
    before, began = sum(process.cpu_times()[:2]), time.monotonic()
    threading.Event().wait(1.0)
    return (sum(process.cpu_times()[:2]) - before) / (time.monotonic() - began)


def test_blocked_worker_reports_full_busy_share(tmp_path):
    with served(tmp_path).wait_ready() as running:
        running.wait_until(lambda: busy(running) < 0.5, "idle")
        with request(running, "/blocks") as asking:
            running.wait_until(lambda: busy(running) == 1.0, "blocked")
            assert running.samples()["corn_worker_busy_ratio", "0"] == 1.0
            (tmp_path / "released").touch()
            running.wait_until(lambda: busy(running) < 0.5, "idle again")
            assert b"200" in asking.recv(65536)


def test_computing_worker_reports_busy_share(tmp_path):
    with served(tmp_path).wait_ready() as running:
        (process,) = running.workers()
        with request(running, "/computes") as asking:
            running.wait_until(lambda: busy(running) >= processor_share(process) / 2 > 0.02, "it computes")
            (worker,) = running.status()["workers"]
            assert worker["silent"] < 20
            (tmp_path / "released").touch()
            assert b"200" in asking.recv(65536)
        running.wait_until(lambda: busy(running) < 0.3, "it is idle")
