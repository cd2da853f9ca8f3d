"""Fault scenarios: each injects one fault and returns the outcome, or raises `LostError` if the server is lost."""

from __future__ import annotations

import contextlib
import signal
import socket
import time
from collections.abc import Callable

import psutil

from benchmarks.faults.subject import MEMORY, STUCK, WORKERS, Load, Subject, UnansweredError, wait

SETTLE = 15.0  # seconds in which a server must have recovered


class LostError(Exception):
    """The server did not survive the fault; the message says how."""


class NotOfferedError(Exception):
    """The server has no option against this fault."""


def killed_worker(name: str) -> str:
    with Subject(name) as server, server.under_load() as load:
        time.sleep(0.5)
        before = server.workers()
        before[0].kill()
        took = _expect(lambda: _whole(server, {before[0].pid}), "the worker is replaced")
        return f"replaced in {took:.1f} s, {load.failed} of {load.answered + load.failed} requests failed"


def killed_workers(name: str) -> str:
    with Subject(name) as server:
        for each in server.workers():
            each.kill()
        took = _expect(server.answers, "it answers again")
        return f"answers after {took:.1f} s"


def killed_worker_while_code_is_broken(name: str) -> str:
    with Subject(name) as server:
        server.deploy("v2", before="raise RuntimeError('broken')")
        before = {each.pid for each in server.workers()}
        for each in server.workers():
            each.kill()
        _expect(
            lambda: _whole(server, before) and server.answers(), "workers come back with the code that was deployed"
        )
        return "workers are back, with the code that was deployed"


def bad_deploy(before: str = "", lifespan: str = "pass") -> Callable[[str], str]:
    def scenario(name: str) -> str:
        with Subject(name) as server, server.under_load() as load:
            time.sleep(0.5)
            server.deploy("v2", before=before, lifespan=lifespan)
            server.send_hangup()
            time.sleep(4)
            if server.process.poll() is not None:
                raise LostError("the server exited on HUP")
            if load.failed or not server.answers():
                raise LostError(f"{load.failed} of {load.answered + load.failed} requests failed")
            return f"the old code kept serving, {load.answered} requests answered"

    return scenario


def good_deploys(name: str) -> str:
    with Subject(name) as server, server.under_load() as load:
        for number in range(2, 5):
            server.deploy(f"v{number}")
            server.send_hangup()
            _expect(lambda wanted=f"v{number}": load.versions[-1:] == [wanted], f"v{number} is served")
            time.sleep(1)
        return _no_failures(load)


def stuck_loop(name: str) -> str:
    if name not in STUCK:
        raise NotOfferedError
    with Subject(name, STUCK[name]) as server:
        before = {each.pid for each in server.workers()}
        with contextlib.suppress(UnansweredError):
            server.request("/stuck", timeout=0.5)
        took = _expect(lambda: len(before & {each.pid for each in server.workers()}) < WORKERS, "it is replaced", 30)
        _expect(lambda: len(server.workers()) == WORKERS and server.answers(), "all workers serve")
        return f"replaced after {took:.1f} s"


def leak(name: str) -> str:
    if name not in MEMORY:
        raise NotOfferedError
    with Subject(name, MEMORY[name]) as server, server.under_load() as load:
        before = {each.pid for each in server.workers()}
        for _ in range(8):
            with contextlib.suppress(UnansweredError):
                server.request("/leak")
        took = _expect(lambda: before != {each.pid for each in server.workers()}, "a worker is replaced", 60)
        _expect(lambda: len(server.workers()) == WORKERS, "all workers serve")
        return f"replaced after {took:.1f} s, {_no_failures(load)}"


def killed_master(name: str) -> str:
    with Subject(name) as server:
        server.process.kill()
        server.process.wait()
        took = _expect(lambda: not server.family(), "no process is left")
        with socket.socket() as free:
            free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            free.bind(("127.0.0.1", server.port))
        return f"workers exited, port free after {took:.1f} s"


def stop_in_flight(name: str) -> str:
    with Subject(name) as server:
        connection = server.connect()
        connection.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(0.5)
        server.signal(signal.SIGTERM)
        connection.settimeout(10)
        received = b""
        with contextlib.suppress(OSError):
            while part := connection.recv(65536):
                received += part
        connection.close()
        if b" 200 " not in received[:20]:
            raise LostError("the request in flight was cut")
        _expect(lambda: server.process.poll() is not None, "it has stopped", 30)
        return f"answered, exit code {server.process.returncode}"


def signal_storm(name: str) -> str:
    with Subject(name) as server, server.under_load() as load:
        for _ in range(200):
            if server.process.poll() is None:
                server.send_hangup()
            time.sleep(0.005)
        time.sleep(5)
        if server.process.poll() is not None:
            raise LostError("the server exited on HUP")
        _expect(lambda: len(server.workers()) == WORKERS, "it has its workers, and no more", 30)
        return _no_failures(load)


def slow_reader(name: str) -> str:
    with Subject(name) as server, server.connect() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        connection.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        received, began = 0, time.monotonic()
        with contextlib.suppress(OSError):
            while part := connection.recv(65536):
                received += len(part)
                time.sleep(max(0.0, received / 1_200_000 - (time.monotonic() - began)))
        if received < 12_000_000:
            raise LostError(f"cut after {received / 1e6:.1f} of 12 MB")
        return f"12 MB delivered in {time.monotonic() - began:.0f} s"


def slow_heads(name: str) -> str:
    with Subject(name) as server, contextlib.ExitStack() as stack:
        connections = [stack.enter_context(server.connect()) for _ in range(300)]
        for each in connections:
            each.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        began = time.monotonic()
        if not server.answers(timeout=5):
            raise LostError("a complete request got no response")
        answered = time.monotonic() - began
        deadline = time.monotonic() + 25
        open_ones = connections
        while open_ones and time.monotonic() < deadline:
            time.sleep(0.5)
            open_ones = [each for each in open_ones if _is_open(each)]
        if open_ones:
            raise LostError(f"{len(open_ones)} of 300 unfinished heads still hold a connection after 25 s")
        return f"complete request answered in {answered * 1000:.0f} ms, unfinished heads ended"


def descriptors(name: str) -> str:
    with Subject(name, prefix=("prlimit", "--nofile=80:80")) as server:
        with contextlib.ExitStack() as stack:
            for _ in range(250):
                with contextlib.suppress(OSError):
                    stack.enter_context(server.connect()).sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            time.sleep(1)
        _expect(server.answers, "it answers when the connections are gone")
        spent = _cpu(server)
        time.sleep(1)
        return f"answers again, {(_cpu(server) - spent) * 100:.0f} % of a processor when idle"


def full_disk(name: str) -> str:
    with Subject(name, log="/dev/full") as server, server.under_load() as load:
        server.send_hangup()
        time.sleep(4)
        if server.process.poll() is not None or not server.answers():
            raise LostError("it exited when its log could not be written")
        return _no_failures(load)


def stopped_group(name: str) -> str:
    with Subject(name) as server:
        for each in server.family():
            with contextlib.suppress(psutil.Error):
                each.terminate()
        took = _expect(lambda: not server.family(), "all processes have exited", 20)
        text = server.log.read_text(errors="replace")
        noise = [line for line in text.splitlines() if "Traceback" in line or "ERROR" in line or "WARNING" in line]
        if noise:
            raise LostError(f"exited after {took:.1f} s, with {len(noise)} warnings or errors in the log")
        return f"exited after {took:.1f} s, quietly"


def _whole(server: Subject, gone: set[int]) -> bool:
    now = {each.pid for each in server.workers()}
    return len(now) == WORKERS and not now & gone


def _expect(condition: Callable[[], bool], what: str, seconds: float = SETTLE) -> float:
    try:
        return wait(condition, seconds, what)
    except TimeoutError as error:
        raise LostError(str(error)) from None


def _no_failures(load: Load) -> str:
    if load.failed:
        raise LostError(f"{load.failed} of {load.answered + load.failed} requests failed")
    return f"none of {load.answered} requests failed"


def _cpu(server: Subject) -> float:
    return float(sum(sum(each.cpu_times()[:2]) for each in server.family()))


def _is_open(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return connection.recv(65536, socket.MSG_PEEK) != b"" and False
    except BlockingIOError:
        return True
    except OSError:
        return False


SCENARIOS: dict[str, Callable[[str], str]] = {
    "a worker is killed": killed_worker,
    "all workers are killed": killed_workers,
    "workers are killed while the code on disk is broken": killed_worker_while_code_is_broken,
    "deploy: three good versions under load": good_deploys,
    "deploy: syntax error": bad_deploy("def ("),
    "deploy: exception at import": bad_deploy("raise RuntimeError('bad')"),
    "deploy: sys.exit at import": bad_deploy("import sys; sys.exit(3)"),
    "deploy: process ended at import": bad_deploy("import os; os._exit(3)"),
    "deploy: import hangs": bad_deploy("import time; time.sleep(3600)"),
    "deploy: startup fails": bad_deploy(lifespan="raise RuntimeError('no database')"),
    "the event loop is blocked": stuck_loop,
    "a worker leaks memory": leak,
    "the master is killed": killed_master,
    "stop with a request in flight": stop_in_flight,
    "TERM to the whole process group": stopped_group,
    "200 HUPs in a second": signal_storm,
    "a client reads 12 MB at 1.2 MB/s": slow_reader,
    "300 clients send unfinished heads": slow_heads,
    "no file descriptor is left": descriptors,
    "the log cannot be written": full_disk,
}
