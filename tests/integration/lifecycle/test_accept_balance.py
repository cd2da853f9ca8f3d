"""Distribution of simultaneously opened connections over the workers."""

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
    options = ("--port", "0", "--workers", str(WORKERS), "--soak", "0", "--log-level", "debug")
    with Served(tmp_path, "main:app", *options) as running:
        yield running.wait_ready()


def burst(served):
    """Number of connections that each worker accepted, by process id."""
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


def is_balanced(holders, workers):
    """No worker holds more than 1.5 times its share; the margin is for a busy machine."""
    return len(holders) == workers and max(holders.values()) <= 1.5 * CONNECTIONS / workers


def assert_balanced(served, workers):
    """One of three bursts is balanced: a busy machine may not run one of the workers during a burst."""
    bursts = []
    while not bursts or not is_balanced(bursts[-1], workers):
        assert len(bursts) < 3, bursts
        bursts.append(burst(served))


def test_connections_after_start_are_balanced(served):
    assert_balanced(served, WORKERS)


def test_connections_of_reconnecting_clients_are_balanced(served):
    for _ in range(3):
        assert_balanced(served, WORKERS)


def test_connections_after_reload_are_balanced(served):
    old = {each.pid for each in served.workers()}
    since = served.mark()
    served.signal(signal.SIGHUP)
    served.wait_for("committed|serves generation 2|generation 2", since=since)
    served.wait_until(lambda: not old & {each.pid for each in served.workers()}, "the old workers are gone")
    assert_balanced(served, WORKERS)


def test_connections_after_crash_are_balanced(served):
    since = served.mark()
    served.workers()[0].kill()
    served.wait_for("worker .* is ready", since=since)  # bursts without it would count as short-lived connections
    assert_balanced(served, WORKERS)


def test_connections_of_suspended_worker_go_to_others(served):
    stopped = served.workers()[0]
    stopped.suspend()
    try:
        assert stopped.pid not in burst(served)
        assert_balanced(served, WORKERS - 1)
    finally:
        stopped.resume()
