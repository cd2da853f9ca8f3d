"""Preload modes of the template, the fork-safety audit, and its consequences."""

from __future__ import annotations

import socket

import pytest

from tests.support.corn_process import Served, write_app

THREAD = """
import threading, time
threading.Thread(target=time.sleep, args=(3600,), name="collector", daemon=True).start()
"""
LOOP = """
import asyncio
loop = asyncio.new_event_loop()
"""
CHILD = """
import subprocess
child = subprocess.Popen(["sleep", "60"])
"""
CONNECTION = """
import os, socket
connection = socket.create_connection(("127.0.0.1", int(os.environ["PEER"])))
"""


@pytest.fixture
def peer():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield str(sock.getsockname()[1])


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (THREAD, r"not safe to fork with --preload app: pool started a thread \(collector\); using deps"),
        (LOOP, r"not safe to fork with --preload app: pool made an event loop; using deps"),
        (CHILD, r"not safe to fork with --preload app: pool runs a program; using deps"),
        (CONNECTION, r"not safe to fork with --preload app: pool opened a connection \(127.0.0.1:\d+\); using deps"),
    ],
)
def test_module_unsafe_to_fork_is_named_and_steps_down_preload(tmp_path, peer, source, said):
    (tmp_path / "pool.py").write_text(source)
    write_app(tmp_path, "one", more="import pool\n")
    with Served(tmp_path, "main:app", "--port", "0", "--workers", "2", PEER=peer).wait_ready() as served:
        assert served.wait_for(said)
        assert "preload deps)" in served.output
        assert served.client().get().startswith("one ")


DATABASE = """
import ctypes, os
def start():
    ctypes.CDLL(None).open(b"base.db", os.O_RDWR | os.O_CREAT, 0o600)
"""
NATIVE = """
import ctypes
libc = ctypes.CDLL(None)
def start():
    thread = ctypes.c_void_p()
    libc.pthread_create(ctypes.byref(thread), None, ctypes.cast(libc.pause, ctypes.c_void_p), None)
"""
LOOP_IN_FUNCTION = """
import asyncio
def start():
    def hold(loop):
        while True:
            yield loop
    global holder
    holder = hold(asyncio.new_event_loop())
    next(holder)
"""


@pytest.mark.parametrize(
    ("library", "said"),
    [
        (DATABASE, r"shop opened a file \(.*base\.db\)"),
        (NATIVE, r"shop started a thread \(1 native\)"),
        (LOOP_IN_FUNCTION, "shop made an event loop"),
    ],
    ids=["database", "native-thread", "loop"],
)
def test_caller_of_library_is_named_for_unheld_resource(tmp_path, library, said):
    packages = tmp_path / "site-packages"
    packages.mkdir()
    (packages / "library.py").write_text(library)
    (tmp_path / "other.py").write_text("")
    (tmp_path / "shop.py").write_text("import library\nlibrary.start()\nimport other\n")
    write_app(tmp_path, "one", more="import shop\n")
    with Served(tmp_path, "main:app", "--port", "0", PYTHONPATH=str(packages)).wait_ready() as served:
        assert served.wait_for(f"not safe to fork with --preload app: {said}")
        assert served.client().get().startswith("one ")


def test_thread_is_accepted_with_explicit_preload_app(tmp_path):
    write_app(tmp_path, "one", more=THREAD)
    with Served(tmp_path, "main:app", "--port", "0", "--preload", "app").wait_ready() as served:
        assert served.wait_for(
            r"main started a thread \(collector\); forking anyway, because --preload names this mode"
        )
        assert "preload app)" in served.output


def test_connection_steps_down_explicit_preload_app(tmp_path, peer):
    write_app(tmp_path, "one", more=CONNECTION)
    with Served(tmp_path, "main:app", "--port", "0", "--preload", "app", PEER=peer).wait_ready() as served:
        assert "preload deps)" in served.output


WHERE = """
import json, os, sys
import wsgiref.handlers

async def where(scope, receive, send):
    loaded = {name: name in BEFORE for name in ("wsgiref.handlers", "httpx", "late", "own")}
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": json.dumps(loaded).encode()})
"""


@pytest.mark.parametrize(
    ("mode", "before"),
    [
        ("app", set()),
        ("deps", {"wsgiref.handlers", "httpx"}),
        ("none", set()),
    ],
)
def test_preload_deps_loads_libraries_without_later_configuration(tmp_path, mode, before):
    (tmp_path / "own.py").write_text("")
    (tmp_path / "main.py").write_text(
        "import sys\nBEFORE = set(sys.modules)\nimport httpx, own, os\nos.environ['LATE'] = '1'\nimport xmlrpc.client\n"
        + WHERE.replace('"late"', '"xmlrpc.client"')
    )
    with Served(tmp_path, "main:where", "--port", "0", "--preload", mode, "--lifespan", "off").wait_ready() as served:
        import json

        loaded = json.loads(served.client().get())
    assert {name for name, there in loaded.items() if there} == before - {"wsgiref.handlers"}


def test_workers_have_different_random_numbers(tmp_path):
    (tmp_path / "main.py").write_text(
        "import random\nasync def app(scope, receive, send):\n"
        "    await send({'type': 'http.response.start', 'status': 200})\n"
        "    await send({'type': 'http.response.body', 'body': str(random.random()).encode()})\n"
    )
    arguments = ("--port", "0", "--workers", "4", "--lifespan", "off")
    with Served(tmp_path, "main:app", *arguments).wait_ready() as served:
        numbers = [served.client().get() for _ in range(40)]
    assert len(set(numbers)) == 40


def test_exit_handlers_of_application_run_at_worker_exit(tmp_path):
    write_app(tmp_path, "one", more="import atexit, os\natexit.register(lambda: print('goodbye from', os.getpid()))\n")
    with Served(tmp_path, "main:app", "--port", "0").wait_ready() as served:
        (worker,) = served.workers()
        worker.terminate()
        served.wait_for(f"goodbye from {worker.pid}")


def test_output_at_import_is_printed_once(tmp_path):
    write_app(tmp_path, "one", more="print('loading', end=' ')\n")
    with Served(tmp_path, "main:app", "--port", "0", "--workers", "3").wait_ready() as served:
        served.process.terminate()
        served.wait_exit()
        assert served.output.count("loading") == 1


def test_application_modules_do_not_shadow_corn_libraries(tmp_path):
    for name in ("click.py", "worker.py", "cli.py", "httptools.py", "uvloop.py", "config.py"):
        (tmp_path / name).write_text("raise RuntimeError('the wrong module')\n")
    write_app(tmp_path, "one")
    import sys

    command = [f"{sys.prefix}/bin/corn", "serve"]
    with Served(tmp_path, "main:app", "--port", "0", program=command).wait_ready() as served:
        assert served.client().get().startswith("one ")


RELAYED = """
import sys
import corn.supervisor.service
corn.supervisor.service.become_subreaper = lambda: False
from corn.cli.main import main
sys.argv[0] = "corn"
main()
"""


@pytest.fixture
def relayed(tmp_path):
    """corn without a subreaper: the template stays the parent of its workers."""
    import sys

    write_app(tmp_path, "one")
    (tmp_path / "relayed.py").write_text(RELAYED)
    return Served(
        tmp_path, "main:app", "--port", "0", "--workers", "2", program=[sys.executable, "relayed.py", "serve"]
    )


def test_missing_subreaper_makes_template_report_worker_exits(relayed):
    with relayed.wait_ready() as served:
        victim = served.workers()[0]
        assert victim.parent() in served.templates()
        victim.kill()
        served.wait_for(rf"pid {victim.pid}\) crashed: killed by SIGKILL \(not by corn.*\); replaced at once")
        served.wait_until(lambda: len(served.workers()) == 2, "a new worker")
        write_app(served.directory, "two")
        import signal

        served.signal(signal.SIGHUP)
        served.wait_for("reloaded: generation 2 serves")
        served.wait_until(lambda: served.client().get().startswith("two "), "the new code")
        served.signal(signal.SIGTERM)
        assert served.wait_exit() == 0
        assert served.leftovers() == []


def test_missing_subreaper_leaves_no_process_of_killed_master(relayed):
    with relayed.wait_ready() as served:
        served.process.kill()
        served.wait_until(lambda: not served.leftovers(), "all gone")
