"""Replacement of workers at their limits and of stuck workers, without failed requests."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import signal
import threading

import pytest

from tests.support.corn_process import Served, write_app
from tests.support.http_client import Load

LEAK = """
hoard = []

async def leak(scope, receive, send):
    if scope["path"] == "/leak":
        if len(hoard) < 15:  # 300 MiB exceed each limit
            hoard.append(bytearray(os.urandom(1 << 20)) * 20)
    await app(scope, receive, send)
"""

BEGINS = """
import corn, time

@corn.after_fork
def begins():
    print("begins at", time.monotonic(), flush=True)
"""

STUCK = """
import asyncio, re, time

def culprit(kind):
    if kind == "/sleep":
        time.sleep(3600)
    elif kind == "/spin":
        while True:
            pass
    elif kind == "/c":
        re.match(r"(a+)+$", "a" * 60 + "b")

async def waits_for_ever():
    await asyncio.sleep(3600)

async def stuck(scope, receive, send):
    if scope["path"] in ("/sleep", "/spin", "/c"):
        waiting = asyncio.create_task(waits_for_ever(), name="waiting-task")
        await asyncio.sleep(0.01)
        print("stuck soon", flush=True)
        culprit(scope["path"])
    await app(scope, receive, send)
"""


@pytest.fixture
def app_dir(tmp_path):
    write_app(tmp_path, "one")
    return tmp_path


def pids(load):
    return {answer.split()[1] for answer in load.answers}


def test_lifetime_limit_replaces_workers_without_failed_request(app_dir):
    arguments = ("--workers", "2", "--limit-lifetime", "1", "--no-access-log")
    with Served(app_dir, "main:app", "--port", "0", *arguments).wait_ready() as served:
        with Load(served.address) as load:
            served.wait_until(lambda: len(pids(load)) >= 5, "five different workers")
        assert load.failures == []
        served.wait_for("exited: lifetime")


def test_low_request_limit_is_bounded_by_min_worker_lifetime(app_dir):
    write_app(app_dir, "one", more=BEGINS)
    arguments = ("--limit-max-requests", "1", "--min-worker-lifetime", "1", "--no-access-log")
    with Served(app_dir, "main:app", "--port", "0", *arguments).wait_ready() as served:
        with Load(served.address) as load:
            served.wait_until(lambda: len(pids(load)) >= 3, "three different workers")
        assert load.failures == []
        begun = [float(at) for at in re.findall("^begins at (.*)", served.output, re.MULTILINE)]
        assert len(begun) >= 3 and all(later - earlier >= 1 for earlier, later in itertools.pairwise(begun)), begun


def test_memory_limit_replaces_worker_without_failed_request(app_dir):
    write_app(app_dir, "one", more=LEAK)
    arguments = ("--workers", "2", "--limit-memory", "200MiB", "--no-access-log")
    with Served(app_dir, "main:leak", "--port", "0", *arguments).wait_ready() as served:
        with Load(served.address, clients=4) as load, served.client() as leaking:
            before = {worker.pid for worker in served.workers()}
            while len(served.workers()) == 2 and {worker.pid for worker in served.workers()} == before:
                leaking.get("/leak")
            served.wait_for(r"exited: memory \d+ MiB, limit 200 MiB")
        assert load.failures == []


def test_hard_memory_limit_stops_worker_immediately(app_dir):
    write_app(app_dir, "one", more=LEAK)
    arguments = ("--limit-memory-hard", "200MiB", "--no-access-log")
    with Served(app_dir, "main:leak", "--port", "0", *arguments).wait_ready() as served:
        for _ in range(10):
            with contextlib.suppress(OSError):  # at once means that requests are cut
                served.client().get("/leak")
        served.wait_for(r"stopping worker .* at once: memory \d+ MiB, hard limit 200 MiB")
        served.wait_until(lambda: answers(served), "a new worker that answers")


def answers(served):
    with contextlib.suppress(OSError):
        return bool(served.client().get())
    return False


def test_memory_total_limit_replaces_largest_worker(app_dir):
    write_app(app_dir, "one", more=LEAK)
    arguments = ("--workers", "2", "--limit-memory-total", "300MiB", "--no-access-log")
    with Served(app_dir, "main:leak", "--port", "0", *arguments).wait_ready() as served:
        with served.client() as leaking:
            large, *_ = [leaking.get("/leak", keep=True).split()[1] for _ in range(15)]
        served.wait_for(rf"pid {large}\) exited: memory of the service \d+ MiB, limit 300 MiB")


@pytest.mark.parametrize(("kind", "frame"), [("/sleep", "culprit"), ("/spin", "culprit"), ("/c", "culprit")])
def test_stuck_worker_is_dumped_replaced_and_aborted(app_dir, kind, frame):
    write_app(app_dir, "one", more=STUCK)
    arguments = ("--workers", "2", "--timeout-worker", "2", "--no-access-log")
    with Served(app_dir, "main:stuck", "--port", "0", *arguments).wait_ready() as served:
        sock = served.client().connect()
        sock.sendall(f"GET {kind} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        served.wait_for(r"has blocked its event loop for \d+\.\d s; its stacks follow")
        served.wait_for(f"in {frame}")
        victim = int(served.wait_for(r"pid (\d+)\) is stuck: its event loop has been blocked for")[1])
        served.wait_for(rf"pid {victim}\) exited: stuck.*killed by SIG(ABRT|KILL)")
        served.wait_until(lambda: len(served.workers()) == 2, "its replacement")
        assert served.client().get("/").startswith("one ")
        if kind != "/c":
            assert "waiting-task" in served.output, "asyncio tasks are shown too"
        sock.close()


def test_busy_worker_within_timeout_is_kept(app_dir):
    busy = """
import time

async def busy(scope, receive, send):
    time.sleep(0.1)
    await app(scope, receive, send)
"""
    write_app(app_dir, "one", more=busy)
    arguments = ("--timeout-worker", "4", "--no-access-log")
    with Served(app_dir, "main:busy", "--port", "0", *arguments).wait_ready() as served:
        with Load(served.address, clients=2) as load:
            served.wait_until(lambda: len(load.answers) > 50, "slow answers that took longer than the limit in total")
        assert "stuck" not in served.output
        assert len(pids(load)) == 1


def test_suspended_worker_is_killed_unless_resumed_in_time(app_dir):
    arguments = ("--workers", "2", "--timeout-worker", "8")
    with Served(app_dir, "main:app", "--port", "0", *arguments).wait_ready() as served:
        first, second = served.workers()
        first.suspend()
        second.suspend()
        served.wait_for(rf"pid {second.pid}\) has blocked its event loop")
        second.resume()
        served.wait_for(rf"pid {second.pid}\) has recovered: its event loop is no longer blocked")
        served.wait_for(rf"pid {first.pid}\) exited: stuck.*killed by SIGKILL")
        assert second.is_running()


def test_suspended_master_does_not_kill_workers_on_resume(app_dir):
    with Served(app_dir, "main:app", "--port", "0", "--timeout-worker", "4").wait_ready() as served:
        (worker,) = served.workers()
        for each in (served.process, worker):
            os.kill(each.pid, signal.SIGSTOP)
        threading.Event().wait(6)  # longer than the limit is all that matters
        os.kill(served.pid, signal.SIGCONT)
        os.kill(worker.pid, signal.SIGCONT)
        served.signal(signal.SIGTTIN)
        served.wait_until(lambda: len(served.workers()) == 2, "the master at work again")
        assert served.client().get()
        assert "stuck" not in served.output
        assert worker.is_running()


def test_worker_crash_cause_is_logged(app_dir):
    crash = """
import ctypes

async def crash(scope, receive, send):
    if scope["path"] == "/segv":
        ctypes.string_at(0)
    if scope["path"] == "/exit":
        os._exit(7)
    await app(scope, receive, send)
"""
    write_app(app_dir, "one", more=crash)
    with Served(app_dir, "main:crash", "--port", "0").wait_ready() as served:
        for path, said in (("/segv", r"crashed: killed by SIGSEGV"), ("/exit", r"crashed: exited with code 7")):
            with pytest.raises(OSError):
                served.client().get(path)
            served.wait_for(said)
            served.wait_until(lambda: len(served.workers()) == 1, "a new worker")
            served.wait_until(lambda: served.client().get("/"), "it serves")
        (worker,) = served.workers()
        worker.kill()
        served.wait_for(r"crashed: killed by SIGKILL \(not by corn")
        assert re.search(r"in crash", served.output), "the fault handler's stack"
