"""Background work of the application is finished within the grace period when its worker exits."""

from __future__ import annotations

import signal
import time

import pytest

from tests.support.corn_process import Served

APPLICATION = """
import asyncio, atexit, os, threading, time
from concurrent.futures import ThreadPoolExecutor

def note(what):
    fd = os.open("notes", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(fd, (what + "\\n").encode())
    os.close(fd)

POOL = ThreadPoolExecutor(2)
KEPT = []
LIFESPAN_IS_OVER = threading.Event()

def job(name):
    LIFESPAN_IS_OVER.wait()
    time.sleep(1.2)
    note(name)

async def task():
    try:
        await asyncio.sleep(3600)
    finally:
        await asyncio.sleep(0.1)
        note("task")

async def generator():
    try:
        yield
    finally:
        await asyncio.sleep(0.1)
        note("generator")

def call_the_loop(loop):
    LIFESPAN_IS_OVER.wait()
    time.sleep(0.5)
    asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop).result()
    note("loop")

async def work():
    loop = asyncio.get_running_loop()
    loop.run_in_executor(None, job, "default executor")
    for number in range(3):
        POOL.submit(job, f"executor {number}")
    threading.Thread(target=job, args=("thread",)).start()
    threading.Thread(target=call_the_loop, args=(loop,)).start()
    threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()
    KEPT.append(loop.create_task(task()))
    started = generator()
    await started.__anext__()
    KEPT.append(started)
    lines = open("lines", "w")
    KEPT.append(lines)
    for number in range(20):
        lines.write(f"line {number}\\n")

async def stuck():
    threading.Thread(target=time.sleep, args=(3600,), name="stuck").start()

async def ignores():
    async def ignore():
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                note("cancelled")
    KEPT.append(asyncio.get_running_loop().create_task(ignore()))
    await asyncio.sleep(0)

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                note("lifespan")
                LIFESPAN_IS_OVER.set()
                return
    await globals()[scope["path"].strip("/")]()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})
"""
EVERYTHING = ["default executor", "executor 0", "executor 1", "executor 2", "thread", "loop", "task", "generator"]


def serve(directory, *arguments):
    (directory / "main.py").write_text(APPLICATION)
    return Served(directory, "main:app", "--port", "0", *arguments).wait_ready()


def ask(served, path):
    with served.client() as client:
        assert client.get(path) == "ok"


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_stop_finishes_jobs_threads_tasks_generators_and_files(tmp_path, loop):
    with serve(tmp_path, "--loop", loop) as served:
        ask(served, "/work")
        served.signal(signal.SIGTERM)
        assert served.wait_exit() == 0
        assert served.leftovers() == []
    notes = (tmp_path / "notes").read_text().splitlines()
    assert notes[0] == "lifespan"
    assert sorted(notes[1:]) == sorted(EVERYTHING)
    assert (tmp_path / "lines").read_text().splitlines() == [f"line {number}" for number in range(20)]


def test_replaced_worker_finishes_background_work(tmp_path):
    with serve(tmp_path) as served:
        (worker,) = served.workers()
        ask(served, "/work")
        worker.terminate()
        served.wait_until(lambda: not worker.is_running(), "the worker is gone")
        assert sorted((tmp_path / "notes").read_text().splitlines()[1:]) == sorted(EVERYTHING)


@pytest.mark.parametrize(("path", "said"), [("/stuck", "threads still running .*: stuck"), ("/ignores", None)])
def test_background_work_past_grace_is_abandoned(tmp_path, path, said):
    with serve(tmp_path, "--timeout-graceful-shutdown", "2") as served:
        ask(served, path)
        began = time.monotonic()
        served.signal(signal.SIGTERM)
        assert served.wait_exit() == 0
        assert 1.5 < time.monotonic() - began < 20
        assert said is None or served.wait_for(said)
        assert "SIGKILL" not in served.output


def test_second_signal_does_not_wait_for_threads(tmp_path):
    with serve(tmp_path) as served:
        ask(served, "/stuck")
        served.signal(signal.SIGTERM)
        served.wait_until((tmp_path / "notes").exists, "the lifespan is over")
        began = time.monotonic()
        served.signal(signal.SIGQUIT)
        served.wait_exit()
        assert time.monotonic() - began < 20
