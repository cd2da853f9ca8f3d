"""How connections that are opened at once are spread over the workers."""

from __future__ import annotations

import collections
import signal
import socket
from urllib.parse import urlsplit

import pytest

from tests.support.corn_process import Served, write_app

WORKERS, CONNECTIONS = 4, 64
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
def served(tmp_path):
    write_app(tmp_path, "one")
    with Served(tmp_path, "main:app", "--port", "0", "--workers", str(WORKERS), "--soak", "0") as running:
        yield running.wait_ready()


def burst(served):
    """How many of the connections each worker holds, by its process id."""
    where = urlsplit(served.address)
    peers = [socket.create_connection((where.hostname, where.port), timeout=30) for _ in range(CONNECTIONS)]
    try:
        holders = collections.Counter()
        for peer in peers:
            peer.sendall(GET)
            holders[int(peer.recv(4096).split()[-1])] += 1
    finally:
        for peer in peers:
            peer.close()
    return holders


def assert_level(holders, workers):
    """No worker holds half as much again as its share: on a busy machine one may not run when it should."""
    assert len(holders) == workers, holders
    assert max(holders.values()) <= 1.5 * CONNECTIONS / workers, holders


def test_connections_are_level_right_after_the_start(served):
    assert_level(burst(served), WORKERS)


def test_connections_are_level_right_after_a_reload(served):
    old = {each.pid for each in served.workers()}
    since = served.mark()
    served.signal(signal.SIGHUP)
    served.wait_for("committed|serves generation 2|generation 2", since=since)
    served.wait_until(lambda: not old & {each.pid for each in served.workers()}, "the old workers are gone")
    assert_level(burst(served), WORKERS)


def test_connections_are_level_right_after_a_crash(served):
    victim = served.workers()[0]
    victim.kill()
    served.wait_until(
        lambda: len(served.workers()) == WORKERS and victim.pid not in {each.pid for each in served.workers()},
        "the worker is replaced",
    )
    first = burst(served)
    assert sum(first.values()) == CONNECTIONS
    assert_level(burst(served), WORKERS)


def test_the_others_share_the_connections_of_a_stopped_worker(served):
    stopped = served.workers()[0]
    stopped.suspend()
    try:
        holders = burst(served)
        assert stopped.pid not in holders
        assert len(holders) == WORKERS - 1, holders
    finally:
        stopped.resume()
