"""Stops: their duration, their log, and signals to the process group."""

import fcntl
import os
import re
import signal
import subprocess
import sys
import termios
import time

import pytest

from tests.support.corn_process import Served, write_app

BLOCKS = """
import time
serves = app

async def app(scope, receive, send):
    if scope["path"] == "/block":
        open("blocked", "w").close()
        time.sleep(60)
    await serves(scope, receive, send)
"""


@pytest.fixture
def app_dir(tmp_path):
    write_app(tmp_path, "one")
    return tmp_path


@pytest.mark.parametrize("timeout", ["30", "0"])
def test_stop_aborts_blocked_worker_after_grace(app_dir, timeout):
    write_app(app_dir, "one", more=BLOCKS)
    options = ("--timeout-graceful-shutdown", "2", "--timeout-worker", timeout, "--timeout-lifespan-shutdown", "20")
    with Served(app_dir, "main:app", "--port", "0", "--workers", "2", *options).wait_ready() as served:
        sock = served.client().connect()
        sock.sendall(b"GET /block HTTP/1.1\r\nHost: localhost\r\n\r\n")
        served.wait_until((app_dir / "blocked").exists, "a blocked worker")
        began = time.monotonic()
        served.signal(signal.SIGTERM)
        assert served.wait_exit() == 0
        assert 2 <= time.monotonic() - began < 20
        assert "did not exit within its grace period: its event loop is blocked" in served.output
        assert "last stacks of worker process" in served.output
        sock.close()


def problems(output):
    return [line for line in output.splitlines() if re.search(r"WARNING|ERROR|Traceback|BrokenPipe", line)]


@pytest.mark.parametrize("workers_first", [False, True])
def test_sigterm_to_process_group_stops_without_warning(app_dir, workers_first):
    options = ("--port", "0", "--workers", "3", "--admin", "127.0.0.1:0")
    with Served(app_dir, "main:app", *options).wait_ready() as served:
        if workers_first:
            for each in served.workers():
                each.terminate()
        os.killpg(served.pid, signal.SIGTERM)
        assert served.wait_exit() == 0
        assert problems(served.output) == []
        assert served.output.count("stopping; in-flight requests may finish") == 1
        assert served.leftovers() == []


@pytest.mark.parametrize("name", ["corn template", "corn worker", "corn admin"])
def test_sigterm_to_process_group_during_start_stops_cleanly(app_dir, name):
    write_app(app_dir, "one", more="import time\ntime.sleep(0.3)\n")
    options = ("--port", "0", "--workers", "3", "--preload", "none", "--admin", "127.0.0.1:0")
    with Served(app_dir, "main:app", *options) as served:
        served.wait_until(lambda: served.named(name), name)
        os.killpg(served.pid, signal.SIGTERM)
        assert served.wait_exit() == 0
        assert problems(served.output) == []
        assert served.leftovers() == []


@pytest.mark.parametrize("ignores", [False, True])
def test_closed_terminal_stops_corn_except_under_nohup(app_dir, ignores):
    log = app_dir / "corn.log"
    ours, theirs = os.openpty()
    program = [sys.executable, "-m", "corn", "serve", "main:app", "--port", "0", "--soak", "0", "--log-file", str(log)]

    def in_terminal():
        os.setsid()
        fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)
        if ignores:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)

    process = subprocess.Popen(
        program,
        cwd=app_dir,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        preexec_fn=in_terminal,  # noqa: PLW1509 - it takes no lock
        close_fds=True,
    )
    os.close(theirs)
    try:
        until(lambda: log.exists() and "serves main:app" in log.read_text())
        os.close(ours)
        if ignores:
            process.send_signal(signal.SIGHUP)
            until(lambda: "reloaded: generation 2" in log.read_text())
            process.terminate()
        assert process.wait(40) == 0
        assert ("its terminal was closed" in log.read_text()) is not ignores
        assert problems(log.read_text()) == []
    finally:
        process.kill()
        process.wait(40)


def until(condition):
    end = time.monotonic() + 40
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)
