"""Counters of a worker in shared memory: each request once, by status and latency."""

import asyncio
import socket
import struct

from corn.ipc.scoreboard import LATENCY_BOUNDS, Field
from corn.supervisor.monitoring.counters import WorkerCounters, reading_of
from tests.support.asgi_server import serving, until


async def app(scope, receive, send):
    if scope["path"] == "/slow":
        await asyncio.sleep(0.03)
    if scope["path"] == "/wait":
        await asyncio.sleep(30)
    status = {"/missing": 404, "/odd": 999}.get(scope["path"], 200)
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": b"12345"})


def get(path):
    return f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode()


def test_requests_are_counted_by_status_and_latency(run):
    async def test():
        async with serving(app) as at:
            for path in ("/", "/", "/missing", "/slow", "/odd"):
                await at.request(get(path))
            found = reading_of(at.slots.cell(0))
            assert found.statuses == (0, 0, 3, 0, 1, 0, 0, 1)
            assert (found.requests, sum(found.latency)) == (5, 5)
            slow = sum(found.latency[LATENCY_BOUNDS.index(0.02) + 1 :])
            assert slow >= 1
            await until(lambda: at.field(Field.REQUESTS) == 5)
            found = reading_of(at.slots.cell(0))
            assert found.sent == 25
            assert 0.03 <= found.busy < 30

    run(test())


def test_client_disconnect_is_counted_as_4xx(run):
    async def test():
        async with serving(app) as at:
            peer = await at.connect(get("/wait"))
            await until(lambda: at.field(Field.ACTIVE) == 1)
            sock = peer.writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # closing it is a reset
            peer.close()
            await until(lambda: at.field(Field.CONNECTIONS) == 0)
        assert reading_of(at.slots.cell(0)).statuses[4] == 1

    run(test())


def test_counters_outlive_their_worker(run):
    async def test():
        async with serving(app) as at:
            await at.request(get("/"))
            readings = WorkerCounters(at.slots)
            readings.add_exited(at.slots.cell(0))
            assert readings.exited.requests == 1
            assert readings.exited.connections == 0
            assert reading_of(at.slots.cell(0)).requests == 0

    run(test())
