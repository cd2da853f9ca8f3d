"""Faults of processes, logs and deploys; docs/explanation/faults.md lists all faults and their tests."""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import sys

import pytest

from tests.support.corn_process import DEADLINE, Served, write_app
from tests.support.http_client import Load


@pytest.fixture
def app_dir(tmp_path):
    write_app(tmp_path, "one")
    return tmp_path


def test_template_start_failure_keeps_workers_and_is_retried(app_dir):
    (app_dir / ".env").write_text("NAME=value\n")
    with Served(app_dir, "main:app", "--port", "0", "--soak", "0", "--env-file", ".env").wait_ready() as served:
        (app_dir / ".env").unlink()
        template, worker = served.templates()[0], served.workers()[0]
        template.kill()
        served.wait_for(r"\.env: cannot be read: No such file")
        assert served.client().get() == f"one {worker.pid}"
        (app_dir / ".env").write_text("NAME=value\n")
        served.wait_until(lambda: [each for each in served.templates() if each != template], "another template")
        served.wait_until(lambda: worker not in served.workers(), "the new generation took over")
        assert served.client().get().startswith("one ")


def test_descriptor_exhaustion_in_master_is_survived(app_dir):
    with Served(app_dir, "main:app", "--port", "0", "--workers", "2").wait_ready() as served:
        soft, hard = resource.prlimit(served.pid, resource.RLIMIT_NOFILE)
        first, second = served.workers()
        resource.prlimit(served.pid, resource.RLIMIT_NOFILE, (3, hard))
        first.kill()
        served.wait_for("could not be forked: .*Too many open files")
        assert served.client().get() == f"one {second.pid}"
        resource.prlimit(served.pid, resource.RLIMIT_NOFILE, (soft, hard))
        served.wait_until(lambda: len(served.workers()) == 2, "two workers again")


def test_descriptor_exhaustion_in_worker_pauses_accepting(app_dir):
    arguments = ("--port", "0", "--timeout-keep-alive", "600")
    with Served(app_dir, "main:app", *arguments).wait_ready() as served, served.client() as kept:
        (worker,) = served.workers()
        assert kept.get(keep=True) == f"one {worker.pid}"
        soft, hard = resource.prlimit(worker.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(worker.pid, resource.RLIMIT_NOFILE, (3, hard))
        with served.client().connect() as waiting:
            waiting.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            served.wait_for("cannot accept connections for now: Too many open files")
            assert kept.get(keep=True) == f"one {worker.pid}"
            resource.prlimit(worker.pid, resource.RLIMIT_NOFILE, (soft, hard))
            assert waiting.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_failing_dependency_backs_off_until_it_returns(app_dir):
    needs = """
async def needs(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        if not os.path.exists("database"):
            raise RuntimeError("no database")
        await send({"type": "lifespan.startup.complete"})
        await receive()
    else:
        await app(scope, receive, send)
"""
    write_app(app_dir, "one", more=needs)
    (app_dir / "database").touch()
    with Served(app_dir, "main:needs", "--port", "0", "--workers", "2", "--lifespan", "on").wait_ready() as served:
        (app_dir / "database").unlink()
        first, second = served.workers()
        first.kill()
        served.wait_for(r"failed: .*no database.*replaced in 0\.\d s")
        served.wait_for(r"failed: .*no database.*replaced in [1-9]\.\d s")
        assert second.is_running()
        assert served.client().get() == f"one {second.pid}"
        second.kill()
        served.wait_until(lambda: not served.workers() or len(served.workers()) < 2, "both gone")
        assert served.process.poll() is None
        (app_dir / "database").touch()
        served.wait_until(lambda: len(served.workers()) == 2, "both back by themselves")
        assert served.client().get().startswith("one ")


def test_sigint_to_process_group_stops_without_error(app_dir):
    with Served(app_dir, "main:app", "--port", "0", "--workers", "2").wait_ready() as served:
        os.killpg(served.pid, signal.SIGINT)
        assert served.wait_exit() == 0
        assert "Traceback" not in served.output
        assert served.output.count("exited: stop") == 2


def test_sighup_to_process_group_reloads_once(app_dir):
    with Served(app_dir, "main:app", "--port", "0", "--workers", "2", "--soak", "0").wait_ready() as served:
        os.killpg(served.pid, signal.SIGHUP)
        served.wait_for("reloaded: generation 2 serves")
        assert "crashed" not in served.output


def test_sigterm_to_process_group_answers_open_connections(app_dir):
    with Served(app_dir, "main:app", "--port", "0", "--workers", "2").wait_ready() as served:
        socks = [served.client().connect() for _ in range(4)]
        for sock in socks:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        os.killpg(served.pid, signal.SIGTERM)
        for sock in socks:
            assert sock.recv(65536).startswith(b"HTTP/1.1 200 ")
            sock.close()
        assert served.wait_exit() == 0


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGQUIT"])
def test_stop_during_load_exits_0(app_dir, name):
    write_app(app_dir, "one", more="print('loads', flush=True)\nimport time\ntime.sleep(3600)\n")
    with Served(app_dir, "main:app", "--port", "0") as served:
        served.wait_for("loads")
        served.signal(getattr(signal, name))
        assert served.wait_exit() == 0
        assert served.leftovers() == []


def test_orphaned_grandchildren_of_request_are_reaped(app_dir):
    spawns = """
import subprocess

async def spawns(scope, receive, send):
    subprocess.run(["sh", "-c", "sleep 0.1 &"])
    await app(scope, receive, send)
"""
    write_app(app_dir, "one", more=spawns)
    with Served(
        app_dir, "main:spawns", "--port", "0", "--lifespan", "off", "--log-level", "debug"
    ).wait_ready() as served:
        assert served.client().get()
        served.wait_for(r"unknown child process \d+ exited with code 0")
        served.wait_until(lambda: not served.zombies(), "no zombie")


def test_closed_log_pipe_does_not_stop_service(app_dir):
    command = [sys.executable, "-m", "corn", "serve", "main:app", "--uds", "corn.sock", "--soak", "0"]
    process = subprocess.Popen(command, cwd=app_dir, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        assert b"serves main:app" in process.stdout.readline()
        process.stdout.close()
        for _ in range(50):
            assert _get(app_dir / "corn.sock").startswith(b"HTTP/1.1 200 ")
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE) == 0
    finally:
        process.kill()
        process.wait()


def test_full_log_pipe_does_not_block_service(app_dir):
    command = [sys.executable, "-m", "corn", "serve", "main:app", "--uds", "corn.sock"]
    process = subprocess.Popen(command, cwd=app_dir, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        assert b"serves main:app" in process.stdout.readline()
        for _ in range(3000):  # more lines than a pipe holds, and no process reads them
            assert _get(app_dir / "corn.sock").startswith(b"HTTP/1.1 200 ")
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE) == 0
    finally:
        process.stdout.close()
        process.kill()
        process.wait()


def _get(path):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(DEADLINE)
        sock.connect(str(path))
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        return sock.recv(65536)


STREAM = """
import asyncio

async def stream(scope, receive, send):
    if scope["path"] != "/stream":
        return await app(scope, receive, send)
    await send({"type": "http.response.start", "status": 200})
    print("streams", flush=True)
    while not os.path.exists("enough"):
        await send({"type": "http.response.body", "body": b"tick ", "more_body": True})
        await asyncio.sleep(0.05)
    await send({"type": "http.response.body", "body": b"done"})
"""


def test_long_response_survives_reload_without_delaying_it(app_dir):
    write_app(app_dir, "one", more=STREAM)
    arguments = ("--port", "0", "--lifespan", "off", "--soak", "0")
    with Served(app_dir, "main:stream", *arguments).wait_ready() as served, served.client().connect() as sock:
        sock.sendall(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
        served.wait_for("streams")
        write_app(app_dir, "two", more=STREAM)
        served.signal(signal.SIGHUP)
        served.wait_for("reloaded: generation 2 serves")
        assert served.client().get().startswith("two ")
        assert len(served.workers()) == 2, "the old one answers still"
        (app_dir / "enough").touch()
        answer = b""
        while not answer.endswith(b"0\r\n\r\n"):
            data = sock.recv(65536)
            assert data, answer
            answer += data
        assert b"done" in answer
        served.wait_until(lambda: len(served.workers()) == 1, "the old one gone")


def test_repeated_reloads_limit_number_of_draining_workers(app_dir):
    write_app(app_dir, "one", more=STREAM)
    arguments = ("--port", "0", "--lifespan", "off", "--soak", "0", "--rollback-window", "0", "--no-access-log")
    arguments += ("--timeout-graceful-shutdown", "600")  # none of the old workers exits for that
    with Served(app_dir, "main:stream", *arguments).wait_ready() as served:
        streams = []
        for number in range(12):
            sock = served.client().connect()
            sock.sendall(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
            assert sock.recv(100)
            streams.append(sock)
            served.signal(signal.SIGHUP)
            served.wait_for(f"reloaded: generation {number + 2} serves")
        served.wait_for(r"stopping worker .* at once: too many old workers")
        served.wait_until(lambda: len(served.workers()) <= 9, "no more than eight old workers")
        for sock in streams:
            sock.close()


def test_crash_under_load_during_reload_is_contained(app_dir):
    with Served(app_dir, "main:app", "--port", "0", "--workers", "3", "--soak", "1").wait_ready() as served:
        with Load(served.address, clients=4) as load:
            write_app(app_dir, "two")
            served.signal(signal.SIGHUP)
            served.wait_for("loading generation 2")
            served.workers()[-1].kill()
            served.wait_for("reloaded: generation 2 serves|reload failed")
            served.wait_until(lambda: len(served.workers()) == 3, "three workers")
        assert len(load.failures) <= 4
