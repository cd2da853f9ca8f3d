"""Child processes of the application: they inherit no socket or channel of corn's, and may outlive it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
from pathlib import Path

import psutil
import pytest

from tests.support.corn_process import DEADLINE, Served

APPLICATION = """
import asyncio, json, multiprocessing, os, signal, subprocess, time

MADE = []

def sleep():
    time.sleep(3600)

def fork():
    pid = os.fork()
    if pid == 0:
        time.sleep(3600)
        os._exit(0)
    return pid

HELD = [False]

def hold():
    while HELD[0] and not os.path.exists("go"):
        time.sleep(0.01)

os.register_at_fork(after_in_child=hold)  # before corn's own

def held():
    HELD[0] = True
    return fork()

def start():
    child = multiprocessing.get_context("fork").Process(target=sleep)
    child.start()
    MADE.append(child)
    return child.pid

def run():
    child = subprocess.Popen(["sleep", "3600"])
    MADE.append(child)
    return child.pid

def keep():
    signal.signal(signal.SIGUSR1, lambda *_: open("signalled", "w").close())
    return fork()

def shown():
    os.system("ls -l /proc/self/fd > descriptors")
    return 0

def grandchild():
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        file = open("grandchild", "w")
        fd = os.open("grandchild", os.O_RDWR)
        if os.fork():
            os._exit(0)
        os.write(fd, b"kept")
        os.write(writer, str(os.getpid()).encode())
        time.sleep(3600)
    os.waitpid(pid, 0)
    return int(os.read(reader, 20))

async def app(scope, receive, send):
    if scope["type"] != "http":
        raise RuntimeError("only HTTP")
    path = scope["path"].strip("/")
    in_thread = path == "thread"
    found = await asyncio.to_thread(fork) if in_thread else globals().get(path, os.getpid)()
    body = json.dumps([os.getpid(), found]).encode()
    headers = [(b"content-length", str(len(body)).encode())] if path != "close" else []
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
"""


@pytest.fixture
def serve(tmp_path):
    """Factory of `corn serve` for the application; its children are killed after the test."""
    made = []

    def start(*arguments):
        (tmp_path / "main.py").write_text(APPLICATION)
        return Served(tmp_path, "main:app", "--port", "0", *arguments).wait_ready()

    def ask(served, path):
        with served.client() as client:
            worker, found = json.loads(client.get(path))
        made.append(found)
        return worker, found

    start.ask = ask
    yield start
    for pid in made:
        with contextlib.suppress(OSError, psutil.Error):
            if pid and psutil.Process(pid).cwd() == str(tmp_path):
                os.kill(pid, signal.SIGKILL)


def title(pid):
    with contextlib.suppress(psutil.Error):
        return " ".join(psutil.Process(pid).cmdline())
    return ""


def descriptors(pid):
    found = {}
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile, as the connection of a client
            found[fd] = os.readlink(f"/proc/{pid}/fd/{fd}")
    return found


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_terminated_child_does_not_affect_worker(serve, loop):
    with serve("--loop", loop) as served:
        for way in ("/fork", "/thread", "/start", "/run"):
            worker, child = serve.ask(served, way)
            os.kill(child, signal.SIGTERM)
            served.wait_until(lambda pid=child: psutil.Process(pid).status() == psutil.STATUS_ZOMBIE, f"end of {way}")
            assert serve.ask(served, "/") == (worker, worker)
        assert "SIGTERM" not in served.output


def test_child_keeps_signal_handlers_of_application(serve, tmp_path):
    with serve() as served:
        _, child = serve.ask(served, "/keep")
        os.kill(child, signal.SIGUSR1)
        served.wait_until((tmp_path / "signalled").exists, "the application's handler ran")
        assert psutil.Process(child).is_running()


@pytest.mark.parametrize("way", ["/fork", "/start", "/run"])
def test_child_of_stopped_service_does_not_hold_port(serve, way):
    with serve() as served:
        address = served.address
        _, child = serve.ask(served, way)
        served.signal(signal.SIGTERM)
        if way == "/fork":  # until it runs, it holds what it has inherited
            served.wait_until(lambda: "child of worker" in title(child), "it shows whose child it is")
        if way == "/start":  # multiprocessing waits for it
            os.kill(child, signal.SIGKILL)
        assert served.process.wait(DEADLINE) == 0  # its output does not end: the child has it, too
        port = int(address.rpartition(":")[2])
        with socket.create_server(("127.0.0.1", port)):
            pass


def test_child_orphaned_while_it_starts_holds_no_port_and_can_end(serve, tmp_path):
    with serve() as served:
        _, child = serve.ask(served, "/held")
        served.signal(signal.SIGTERM)
        assert served.process.wait(DEADLINE) == 0
        assert "child of worker" not in title(child)
        (tmp_path / "go").touch()
        served.wait_until(lambda: "child of worker" in title(child), "it shows whose child it is")
        with socket.create_server(("127.0.0.1", int(served.address.rpartition(":")[2]))):
            pass
        os.kill(child, signal.SIGTERM)
        served.wait_until(lambda: not title(child), "its end")  # a zombie if nobody reaps it


def test_child_of_stopped_service_does_not_hold_connection(serve):
    with serve() as served, served.client() as client:
        assert json.loads(client.get("/fork", keep=True))
        served.signal(signal.SIGTERM)
        served.process.wait(DEADLINE)
        assert client._sock.recv(1) == b""


def test_executed_child_inherits_no_descriptor(serve, tmp_path):
    with serve() as served:
        serve.ask(served, "/shown")
        shown = (tmp_path / "descriptors").read_text()
        lines = [line for line in shown.splitlines() if "->" in line]
        assert [line for line in lines if "socket:" in line or "memfd" in line or "anon_inode" in line] == []


def test_forked_child_has_no_channel_and_no_listener(serve):
    with serve() as served:
        worker, child = serve.ask(served, "/fork")
        served.wait_until(lambda: "child of worker" in title(child), "it shows whose child it is")
        assert f"child of worker {worker}" in title(child)
        assert len(served.workers()) == 1
        ours = {fd: target for fd, target in descriptors(worker).items() if "socket:" in target}
        theirs = descriptors(child)
        listening = {f"socket:[{inode}]" for inode in inodes(worker, "0A")}
        assert listening and not listening & set(theirs.values())
        assert ours


def inodes(pid, state):
    lines = Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]
    mine = set(descriptors(pid).values())
    return [fields[9] for line in lines if (fields := line.split())[3] == state and f"socket:[{fields[9]}]" in mine]


def test_grandchild_keeps_files_opened_by_its_parent(serve, tmp_path):
    with serve() as served:
        serve.ask(served, "/grandchild")
        assert (tmp_path / "grandchild").read_text() == "kept"
