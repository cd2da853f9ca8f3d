"""The life of a service: it starts, survives its workers' deaths, and stops."""

from __future__ import annotations

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


def test_start_is_announced_in_one_line_and_all_workers_serve(app_dir):
    with Served(app_dir, "main:app", "--port", "0", "--workers", "3").wait_ready() as served:
        assert len(served.workers()) == 3
        assert served.client().get().startswith("one ")
        served.wait_for(r"serves main:app at http://127.0.0.1:\d+ \(3 workers, preload app\)")


@pytest.mark.parametrize("preload", ["app", "deps", "none"])
def test_every_preload_mode_serves(app_dir, preload):
    with Served(app_dir, "main:app", "--port", "0", "--preload", preload).wait_ready() as served:
        assert served.client().get().startswith("one ")
        assert f"preload {preload})" in served.output


def test_a_killed_worker_comes_back_and_only_its_requests_are_lost(app_dir):
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


def test_all_workers_killed_at_once_come_back(app_dir):
    with Served(app_dir, "main:app", "--port", "0", "--workers", "4").wait_ready() as served:
        before = {worker.pid for worker in served.workers()}
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        served.wait_until(lambda: len({each.pid for each in served.workers()} - before) == 4, "four new workers")
        assert served.client().get().startswith("one ")
        assert served.process.poll() is None


def test_a_crashed_worker_comes_back_with_the_deployed_code_though_broken_code_is_on_disk(app_dir):
    with Served(app_dir, "main:app", "--port", "0", "--workers", "2").wait_ready() as served:
        write_app(app_dir, "two", more="raise RuntimeError('broken deploy')\n")
        for worker in served.workers():
            so_far = served.mark()
            worker.kill()
            served.wait_for(rf"pid {worker.pid}\) crashed: killed by SIGKILL", since=so_far)
        served.wait_until(lambda: len(served.workers()) == 2, "two new workers")
        served.wait_until(lambda: served.client().get().startswith("one "), "the good version")


def test_term_lets_requests_in_flight_finish_and_leaves_nothing(app_dir):
    write_app(app_dir, "slow", more=SLOW)
    with Served(app_dir, "main:slow", "--port", "0", "--workers", "2").wait_ready() as served:
        in_flight = [served.client() for _ in range(4)]
        socks = [each.connect() for each in in_flight]
        for sock in socks:
            sock.sendall(b"GET /1 HTTP/1.1\r\nHost: x\r\n\r\n")
        served.wait_for("began")
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

async def slow(scope, receive, send):
    print("began", flush=True)
    await asyncio.sleep(float(scope["path"][1:]))
    await app(scope, receive, send)
"""


DEAF = """
import time

async def deaf(*_):
    print("began", flush=True)
    time.sleep(3600)
"""


def test_a_stuck_request_is_cut_at_the_graceful_timeout(app_dir):
    write_app(app_dir, "stuck", more=SLOW)
    arguments = ("main:slow", "--port", "0", "--timeout-graceful-shutdown", "1")
    with Served(app_dir, *arguments).wait_ready() as served:
        sock = served.client().connect()
        sock.sendall(b"GET /3600 HTTP/1.1\r\nHost: x\r\n\r\n")
        served.wait_for("began")
        served.signal(signal.SIGTERM)
        assert served.wait_exit(15) == 0
        assert served.leftovers() == []
        sock.close()


def test_a_worker_that_cannot_be_cancelled_is_killed(app_dir):
    write_app(app_dir, "deaf", more=DEAF)
    arguments = ("main:deaf", "--port", "0", "--lifespan", "off", *IMPATIENT)
    with Served(app_dir, *arguments).wait_ready() as served:
        sock = served.client().connect()
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        served.wait_for("began")
        served.signal(signal.SIGTERM)
        assert served.wait_exit(15) == 0
        assert "did not leave within its grace period" in served.output
        assert served.leftovers() == []
        sock.close()


def test_connections_accepted_but_unread_are_answered_when_the_stop_begins(app_dir):
    with Served(app_dir, "main:app", "--port", "0", "--workers", "2").wait_ready() as served:
        socks = [served.client().connect() for _ in range(5)]
        served.wait_until(lambda: _accepted(served) >= 5, "all accepted")
        served.signal(signal.SIGTERM)
        served.wait_for("SIGTERM: stopping")
        for sock in socks:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        for sock in socks:
            assert sock.recv(65536).startswith(b"HTTP/1.1 200 ")
            sock.close()
        assert served.wait_exit() == 0


def _accepted(served):
    return sum(
        connection.status == psutil.CONN_ESTABLISHED
        for worker in served.workers()
        for connection in worker.net_connections("tcp")
    )


@pytest.mark.parametrize("presses", [2, 3])
def test_more_ints_press_on(app_dir, presses):
    write_app(app_dir, "slow", more=SLOW)
    with Served(app_dir, "main:slow", "--port", "0").wait_ready() as served:
        sock = served.client().connect()
        sock.sendall(b"GET /3600 HTTP/1.1\r\nHost: x\r\n\r\n")
        served.wait_for("began")
        for said in ["SIGINT: stopping;", "SIGINT: stopping at once", "SIGINT: killing what is left"][:presses]:
            served.signal(signal.SIGINT)
            served.wait_for(said)
        assert served.wait_exit(10) == (0 if presses == 2 else 130)
        assert served.leftovers() == []
        sock.close()


def test_killed_master_leaves_nothing_and_frees_the_port(app_dir):
    with Served(app_dir, "main:app", "--port", "0", "--workers", "3").wait_ready() as served:
        assert served.client().get()
        served.process.kill()
        served.process.wait()
        served.wait_until(lambda: not served.leftovers(), "all gone")
        with pytest.raises(ConnectionRefusedError):
            served.client().connect()


def test_killed_master_lets_requests_in_flight_finish(app_dir):
    write_app(app_dir, "slow", more=SLOW)
    with Served(app_dir, "main:slow", "--port", "0").wait_ready() as served:
        sock = served.client().connect()
        sock.sendall(b"GET /1 HTTP/1.1\r\nHost: x\r\n\r\n")
        served.wait_for("began")
        served.process.kill()
        assert sock.recv(65536).startswith(b"HTTP/1.1 200 ")
        sock.close()
        served.wait_until(lambda: not served.leftovers(), "all gone")


def test_killed_master_has_a_stuck_worker_killed_by_its_template(app_dir):
    write_app(app_dir, "deaf", more=DEAF)
    arguments = ("main:deaf", "--port", "0", "--lifespan", "off", *IMPATIENT)
    with Served(app_dir, *arguments).wait_ready() as served:
        sock = served.client().connect()
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        served.wait_for("began")
        served.process.kill()
        served.wait_until(lambda: not served.leftovers(), "all gone")
        sock.close()


def test_a_worker_told_to_leave_by_an_operator_is_replaced_first(app_dir):
    with Served(app_dir, "main:app", "--port", "0").wait_ready() as served:
        with Load(served.address) as load:
            for _ in range(3):
                old = served.workers()[0]
                old.terminate()
                served.wait_for(rf"pid {old.pid}\) ended: SIGTERM")
        assert load.failures == []
        assert len(served.workers()) == 1


def test_hup_int_and_the_rest_do_a_worker_no_harm(app_dir):
    with Served(app_dir, "main:app", "--port", "0").wait_ready() as served:
        (worker,) = served.workers()
        for _ in range(10):
            for name in ("SIGHUP", "SIGINT", "SIGUSR2", "SIGTTIN", "SIGTTOU", "SIGWINCH"):
                worker.send_signal(getattr(signal, name))
            assert served.client().get() == f"one {worker.pid}"


def test_workers_are_replaced_after_max_requests_and_no_request_fails(app_dir):
    arguments = (
        "--limit-max-requests",
        "200",
        "--limit-max-requests-jitter",
        "50",
        "--workers",
        "2",
        "--no-access-log",
    )
    with Served(app_dir, "main:app", "--port", "0", *arguments).wait_ready() as served:
        with Load(served.address) as load:
            served.wait_until(lambda: len({answer.split()[1] for answer in load.answers}) > 6, "new workers")
        assert load.failures == []
        served.wait_for("ended: max requests")


def test_ttin_and_ttou_scale(app_dir):
    with Served(app_dir, "main:app", "--port", "0").wait_ready() as served:
        served.signal(signal.SIGTTIN)
        served.signal(signal.SIGTTIN)
        served.wait_until(lambda: len(served.workers()) >= 2, "more workers")
        served.signal(signal.SIGTTOU)
        served.wait_for("scaling from . to . workers")


def test_a_lost_template_is_replaced_while_the_workers_serve(app_dir):
    with Served(app_dir, "main:app", "--port", "0", "--workers", "2").wait_ready() as served:
        with Load(served.address) as load:
            served.templates()[0].kill()
            served.wait_for("was lost")
            served.wait_for("reloaded: generation 2 serves")
        assert load.failures == []


def test_a_connection_to_a_host_name_a_unix_socket_and_several_binds(app_dir):
    binds = ("--bind", "127.0.0.1:0", "--bind", "[::1]:0", "--bind", "unix:corn.sock")
    with Served(app_dir, "main:app", *binds) as served:
        found = served.wait_for(r"at (\S+), (\S+), (\S+) \(")
        assert found[3] == f"unix:{app_dir}/corn.sock"
        for address in (found[1], found[2], found[3]):
            assert Client(address).get().startswith("one ")
        served.signal(signal.SIGTERM)
        assert served.wait_exit() == 0
        assert not (app_dir / "corn.sock").exists()
