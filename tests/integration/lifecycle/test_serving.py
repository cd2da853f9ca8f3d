"""Life cycle of a service: start, crashes of workers, stop."""

from __future__ import annotations

import contextlib
import os
import signal
import socket

import psutil
import pytest

from tests.support.corn_process import Served, write_app
from tests.support.http_client import Client, Load

IMPATIENT = ("--timeout-graceful-shutdown", "0.5", "--timeout-lifespan-shutdown", "0.5")


@pytest.fixture
def app_dir(tmp_path):
    write_app(tmp_path, "one")
    return tmp_path


def test_start_is_announced_in_one_line_with_all_workers(app_dir):
    with Served(app_dir, "main:app", "--port", "0", "--workers", "3").wait_ready() as served:
        assert len(served.workers()) == 3
        assert served.client().get().startswith("one ")
        served.wait_for(r"serves main:app at http://127.0.0.1:\d+ \(3 workers, preload app\)")


@pytest.mark.parametrize("preload", ["app", "deps", "none"])
def test_preload_modes_serve(app_dir, preload):
    with Served(app_dir, "main:app", "--port", "0", "--preload", preload).wait_ready() as served:
        assert served.client().get().startswith("one ")
        assert f"preload {preload})" in served.output


def test_killed_worker_is_replaced_and_only_its_requests_fail(app_dir):
    with Served(app_dir, "main:app", "--port", "0", "--workers", "2").wait_ready() as served:
        victim = served.workers()[0].pid
        with Load(served.address) as load:
            served.wait_until(lambda: len(load.answers) > 50, "some answers")
            os.kill(victim, signal.SIGKILL)
            served.wait_for(rf"pid {victim}\) crashed: killed by SIGKILL \(not by corn.*\); replaced at once")
            served.wait_until(lambda: len(served.workers()) == 2, "a new worker")
            so_far = len(load.answers)
            served.wait_until(lambda: len(load.answers) > so_far + 100, "more answers")
        assert len(load.failures) <= load.clients
        assert victim not in [worker.pid for worker in served.workers()]


def test_all_killed_workers_are_replaced(app_dir):
    with Served(app_dir, "main:app", "--port", "0", "--workers", "4").wait_ready() as served:
        before = {worker.pid for worker in served.workers()}
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        served.wait_until(lambda: len({each.pid for each in served.workers()} - before) == 4, "four new workers")
        assert served.client().get().startswith("one ")
        assert served.process.poll() is None


def test_crashed_worker_is_respawned_from_loaded_code(app_dir):
    with Served(app_dir, "main:app", "--port", "0", "--workers", "2").wait_ready() as served:
        write_app(app_dir, "two", more="raise RuntimeError('broken deploy')\n")
        for worker in served.workers():
            so_far = served.mark()
            worker.kill()
            served.wait_for(rf"pid {worker.pid}\) crashed: killed by SIGKILL", since=so_far)
        served.wait_until(lambda: len(served.workers()) == 2, "two new workers")
        served.wait_until(lambda: served.client().get().startswith("one "), "the good version")


def test_sigterm_finishes_in_flight_requests_and_leaves_nothing(app_dir):
    write_app(app_dir, "slow", more=SLOW)
    with Served(app_dir, "main:slow", "--port", "0", "--workers", "2").wait_ready() as served:
        in_flight = [served.client() for _ in range(4)]
        socks = [each.connect() for each in in_flight]
        for sock in socks:
            sock.sendall(b"GET /drained HTTP/1.1\r\nHost: x\r\n\r\n")
        served.wait_until(lambda: served.output.count("began /drained") == len(socks), "all requests are in flight")
        served.signal(signal.SIGTERM)
        for sock in socks:
            answer = b""
            while chunk := sock.recv(65536):
                answer += chunk
            assert answer.startswith(b"HTTP/1.1 200 "), answer
            assert b"connection: close" in answer.lower()
            sock.close()
        assert served.wait_exit() == 0
        assert served.leftovers() == []
        port = int(served.address.rpartition(":")[2])
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(("127.0.0.1", port))


SLOW = """
import asyncio
import corn

async def slow(scope, receive, send):
    print("began", scope["path"], flush=True)  # of a request: the lifespan has no path
    if scope["path"] == "/drained":
        await corn.wait_for_drain()
        await asyncio.sleep(1)
    else:
        await asyncio.sleep(float(scope["path"][1:]))
    await app(scope, receive, send)
"""


BLOCKING = """
import time

async def blocking(*_):
    print("began", flush=True)
    time.sleep(3600)
"""


def test_graceful_timeout_cuts_stuck_request(app_dir):
    write_app(app_dir, "stuck", more=SLOW)
    arguments = ("main:slow", "--port", "0", "--timeout-graceful-shutdown", "1")
    with Served(app_dir, *arguments).wait_ready() as served:
        sock = served.client().connect()
        sock.sendall(b"GET /3600 HTTP/1.1\r\nHost: x\r\n\r\n")
        served.wait_for("began")
        served.signal(signal.SIGTERM)
        assert served.wait_exit(20) == 0
        assert served.leftovers() == []
        sock.close()


@contextlib.contextmanager
def blocked(app_dir):
    """Instance whose worker is blocked by a request."""
    write_app(app_dir, "blocking", more=BLOCKING)
    arguments = ("main:blocking", "--port", "0", "--lifespan", "off", *IMPATIENT)
    with Served(app_dir, *arguments).wait_ready() as served, contextlib.closing(served.client().connect()) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        served.wait_for("began")
        yield served


def test_graceful_timeout_kills_blocked_worker(app_dir):
    with blocked(app_dir) as served:
        served.signal(signal.SIGTERM)
        assert served.wait_exit(20) == 0
        assert "did not exit within its grace period" in served.output
        assert served.leftovers() == []


# The worker is its own client: it closes such connections after a second, which is soon on a loaded machine.
ASKS_LATE = """
import corn, socket, threading, time

OPENED = []

def ask():
    time.sleep(0.2)  # a server that closes such connections does so at once
    for each in OPENED:
        each.sendall(b"GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
    for each in OPENED:
        print("received", each.recv(65536)[:12], flush=True)

@corn.on_drain
def begin():
    threading.Thread(target=ask).start()

async def asks_late(scope, receive, send):
    if scope["path"] == "/open":
        OPENED.extend(socket.create_connection(scope["server"]) for _ in range(5))
    await app(scope, receive, send)
"""


def test_sigterm_answers_accepted_connections_without_request(app_dir):
    write_app(app_dir, "one", more=ASKS_LATE)
    with Served(app_dir, "main:asks_late", "--port", "0", "--lifespan", "off").wait_ready() as served:
        assert served.client().get("/open")
        (worker,) = served.workers()
        served.wait_until(lambda: _connections(worker) == 10, "both ends of five connections")
        served.signal(signal.SIGTERM)
        assert served.wait_exit() == 0
        assert served.output.count("received b'HTTP/1.1 200'") == 5


def _connections(process):
    return sum(each.status == psutil.CONN_ESTABLISHED for each in process.net_connections("tcp"))


@pytest.mark.parametrize("presses", [2, 3])
def test_repeated_sigint_shortens_stop(app_dir, presses):
    write_app(app_dir, "slow", more=SLOW)
    with Served(app_dir, "main:slow", "--port", "0").wait_ready() as served:
        sock = served.client().connect()
        sock.sendall(b"GET /3600 HTTP/1.1\r\nHost: x\r\n\r\n")
        served.wait_for("began /3600")
        if presses == 3:
            served.workers()[0].suspend()  # it would exit before the third signal
        for said in ["SIGINT: stopping;", "SIGINT: stopping at once", "SIGINT: killing the remaining processes"][
            :presses
        ]:
            served.signal(signal.SIGINT)
            served.wait_for(said)
        assert served.wait_exit(20) == (0 if presses == 2 else 130)
        assert served.leftovers() == []
        sock.close()


def test_killed_master_leaves_no_process_and_frees_port(app_dir):
    with Served(app_dir, "main:app", "--port", "0", "--workers", "3").wait_ready() as served:
        assert served.client().get()
        served.process.kill()
        served.process.wait()
        served.wait_until(lambda: not served.leftovers(), "all gone")
        with pytest.raises(ConnectionRefusedError):
            served.client().connect()


def test_killed_master_finishes_in_flight_requests(app_dir):
    write_app(app_dir, "slow", more=SLOW)
    with Served(app_dir, "main:slow", "--port", "0").wait_ready() as served:
        sock = served.client().connect()
        sock.sendall(b"GET /1 HTTP/1.1\r\nHost: x\r\n\r\n")
        served.wait_for("began")
        served.process.kill()
        assert sock.recv(65536).startswith(b"HTTP/1.1 200 ")
        sock.close()
        served.wait_until(lambda: not served.leftovers(), "all gone")


def test_killed_master_with_stuck_worker_leaves_no_process(app_dir):
    with blocked(app_dir) as served:
        served.process.kill()
        served.wait_until(lambda: not served.leftovers(), "all gone")


def test_sigterm_to_worker_replaces_it_without_failed_request(app_dir):
    with Served(app_dir, "main:app", "--port", "0").wait_ready() as served:
        with Load(served.address) as load:
            for _ in range(3):
                served.wait_until(served.workers, "a worker")  # one that is asked to exit waits a second for the next
                old = served.workers()[0]
                served.wait_until(lambda pid=old.pid: load.answers[-1:] == [f"one {pid}"], "it serves")
                old.terminate()
                served.wait_for(rf"pid {old.pid}\) exited: SIGTERM")
        assert load.failures == []
        assert len(served.workers()) == 1


def test_signals_for_master_do_not_affect_worker(app_dir):
    with Served(app_dir, "main:app", "--port", "0").wait_ready() as served:
        (worker,) = served.workers()
        for _ in range(10):
            for name in ("SIGHUP", "SIGINT", "SIGUSR2", "SIGTTIN", "SIGTTOU", "SIGWINCH"):
                worker.send_signal(getattr(signal, name))
            assert served.client().get() == f"one {worker.pid}"


def test_max_requests_replaces_workers_without_failed_request(app_dir):
    arguments = (
        "--limit-max-requests",
        "50",
        "--limit-max-requests-jitter",
        "20",
        "--workers",
        "2",
        "--no-access-log",
    )
    with Served(app_dir, "main:app", "--port", "0", *arguments).wait_ready() as served:
        with Load(served.address) as load:
            served.wait_until(lambda: len({answer.split()[1] for answer in load.answers}) > 6, "new workers")
        assert load.failures == []
        served.wait_for("exited: max requests")


def test_sigttin_and_sigttou_scale_workers(app_dir):
    with Served(app_dir, "main:app", "--port", "0").wait_ready() as served:
        for name, change in (("SIGTTIN", "1 to 2"), ("SIGTTIN", "2 to 3"), ("SIGTTOU", "3 to 2")):
            served.signal(signal.Signals[name])
            served.wait_for(f"scaling from {change} workers")
        served.wait_until(lambda: len(served.workers()) == 2, "two workers")


def test_killed_template_is_replaced_while_workers_serve(app_dir):
    with Served(app_dir, "main:app", "--port", "0", "--soak", "0", "--workers", "2").wait_ready() as served:
        with Load(served.address) as load:
            served.templates()[0].kill()
            served.wait_for("was lost")
            served.wait_for("reloaded: generation 2 serves")
        assert load.failures == []


def test_killed_template_and_workers_are_replaced_without_soak(app_dir):
    with Served(app_dir, "main:app", "--port", "0", "--soak", "600", "--workers", "2").wait_ready() as served:
        first = served.workers()
        served.templates()[0].kill()
        for each in first:
            each.kill()
        served.wait_for("reloaded: generation 2 serves")
        (app_dir / "main.py").write_text("raise RuntimeError('not deployed yet')\n")
        served.wait_until(lambda: len(served.workers()) == 2, "two workers")
        second = served.workers()
        second[0].kill()
        served.wait_until(lambda: len(set(served.workers()) - {second[0]}) == 2, "two workers again")
        assert served.client().get().startswith("one ")
        assert "not deployed yet" not in served.output


def test_several_binds_serve_ipv4_ipv6_and_unix(app_dir):
    binds = ("--bind", "127.0.0.1:0", "--bind", "[::1]:0", "--bind", "unix:corn.sock")
    with Served(app_dir, "main:app", *binds) as served:
        found = served.wait_for(r"at (\S+), (\S+), (\S+) \(")
        assert found[3] == f"unix:{app_dir}/corn.sock"
        for address in (found[1], found[2], found[3]):
            assert Client(address).get().startswith("one ")
        served.signal(signal.SIGTERM)
        assert served.wait_exit() == 0
        assert not (app_dir / "corn.sock").exists()
