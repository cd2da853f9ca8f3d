"""State that an application creates at import is in each worker as if the worker had imported it itself."""

from __future__ import annotations

import json
import os
import signal
from collections import defaultdict

import pytest

from tests.support.corn_process import Served

# Parts of import state, selected by PARTS; each responds with what a client can observe.
APPLICATION = """
import json, os
PARTS, STATE = os.environ["PARTS"].split(), {}

if "temporary" in PARTS:
    import tempfile
    DIRECTORY = tempfile.TemporaryDirectory(prefix="kept")
    open(os.path.join(DIRECTORY.name, "data"), "w").write("data")
    STATE["temporary"] = lambda: open(os.path.join(DIRECTORY.name, "data")).read()
if "unpacked" in PARTS:
    import atexit, shutil, tempfile
    UNPACKED = tempfile.mkdtemp(prefix="unpacked")
    atexit.register(shutil.rmtree, UNPACKED, ignore_errors=True)
    STATE["unpacked"] = lambda: os.path.isdir(UNPACKED)
if "file" in PARTS:
    FILE = open("lines", "rb", buffering=0)
    STATE["file"] = lambda: FILE.read(6).decode()
if "sqlite" in PARTS:
    import sqlite3
    DATABASE = sqlite3.connect("base.db", check_same_thread=False)
    DATABASE.execute("pragma user_version")
    STATE["sqlite"] = lambda: DATABASE.execute("select 42").fetchone()[0]
if "lock" in PARTS:
    import fcntl
    LOCK = open("leader", "a")
    try:
        fcntl.flock(LOCK, fcntl.LOCK_EX | fcntl.LOCK_NB)
        LEADS = True
    except OSError:
        LEADS = False
    STATE["lock"] = lambda: LEADS
if "memory" in PARTS:
    import mmap
    MEMORY = mmap.mmap(-1, 4096)
    def count():
        number = int.from_bytes(MEMORY[:4], "big") + 1
        MEMORY[:4] = number.to_bytes(4, "big")
        return number
    STATE["memory"] = count
if "random" in PARTS:
    import random
    RANDOM, SEEDED = random.Random(), random.Random(7)
    STATE["random"] = lambda: [RANDOM.random(), SEEDED.random()]
if "seeded" in PARTS:
    import random
    random.seed(7)
    STATE["seeded"] = random.random
if "numpy" in PARTS:
    import numpy
    GENERATOR, FIXED, LEGACY = numpy.random.default_rng(), numpy.random.default_rng(7), numpy.random.RandomState()
    STATE["numpy"] = lambda: [float(GENERATOR.random()), float(LEGACY.rand()), float(FIXED.random())]
if "loop" in PARTS:
    import asyncio
    LOOP, RAN = asyncio.get_event_loop(), []
    async def run(): RAN.append(True)
    TASK, FUTURE = LOOP.create_task(run()), LOOP.create_future()
    STATE["loop"] = lambda: [asyncio.get_running_loop() is LOOP, len(RAN), FUTURE.get_loop() is LOOP]
if "queue" in PARTS:
    import multiprocessing
    QUEUE = multiprocessing.SimpleQueue()
    STATE["queue"] = QUEUE.empty

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    body = json.dumps([os.getpid(), {name: call() for name, call in STATE.items()}]).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})
"""
HARMLESS = "temporary unpacked random seeded numpy"
SHARED = "file sqlite lock memory loop queue"
MODES = ("app", "deps", "none", "auto")


def serve(directory, parts, mode):
    (directory / "main.py").write_text(APPLICATION)
    (directory / "lines").write_text("".join(f"{number:05}\n" for number in range(100_000)))
    arguments = ("--port", "0", "--workers", "2", "--preload", mode)
    return Served(directory, "main:app", *arguments, PARTS=parts, TMPDIR=str(directory)).wait_ready()


def answers(served, count=24, into=None, workers=2):
    """Responses of each worker, by process id and part, in order; of at least so many workers."""
    found = defaultdict(lambda: defaultdict(list)) if into is None else into
    while sum(len(each["n"]) for each in found.values()) < count or len(found) < workers:
        with served.client() as client:
            pid, state = json.loads(client.get())
        found[pid]["n"].append(1)
        for name, value in state.items():
            found[pid][name].append(value)
    return found


def check_as_imported_alone(found):
    """Check the properties of workers that imported the application themselves."""
    for each in found.values():
        turns = len(each["n"])
        assert each["temporary"] in ([], ["data"] * turns)
        assert each["unpacked"] in ([], [True] * turns)
        assert each["file"] in ([], [f"{number:05}\n" for number in range(turns)])
        assert each["sqlite"] in ([], [42] * turns)
        assert each["memory"] in ([], list(range(1, turns + 1)))
        assert each["loop"] in ([], [[True, 1, True]] * turns)
        assert each["queue"] in ([], [True] * turns)
    drawn = [tuple(value) for each in found.values() for value in each["random"]]
    unseeded = [first for first, _ in drawn] + [x for each in found.values() for v in each["numpy"] for x in v[:2]]
    assert len(set(unseeded)) == len(unseeded)
    first, *others = found.values()
    for other in others:
        turns = min(len(first["n"]), len(other["n"]))
        assert other["seeded"][:turns] == first["seeded"][:turns]
        assert [v[1] for v in other["random"][:turns]] == [v[1] for v in first["random"][:turns]]
        assert [v[2] for v in other["numpy"][:turns]] == [v[2] for v in first["numpy"][:turns]]
    assert sum(each["lock"][0] for each in found.values() if each["lock"]) <= 1


@pytest.mark.parametrize("mode", MODES)
def test_workers_in_each_preload_mode_have_own_import_state(tmp_path, mode):
    with serve(tmp_path, f"{HARMLESS} {SHARED}", mode) as served:
        check_as_imported_alone(answers(served))
        served.signal(signal.SIGTERM)
        assert served.wait_exit() == 0


def test_shareable_import_state_survives_exit_of_one_worker(tmp_path):
    with serve(tmp_path, HARMLESS, "auto") as served:
        assert "preload app)" in served.output
        found = answers(served)
        victim = served.workers()[0]
        victim.terminate()
        served.wait_until(lambda: not victim.is_running() and len(served.workers()) == 2, "another worker")
        check_as_imported_alone(answers(served, 48, found, workers=3))
        served.workers()[0].kill()
        check_as_imported_alone(answers(served, 72, found))
        served.signal(signal.SIGTERM)
        assert served.wait_exit() == 0
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith(("kept", "unpacked"))] == []


@pytest.mark.parametrize(
    ("part", "why"),
    [
        ("file", r"main opened a file \(.*lines\)"),
        ("sqlite", r"main opened a file \(.*base\.db\)"),
        ("lock", r"main holds a lock \(.*leader\)"),
        ("memory", r"shares memory \(.*\)"),
        ("loop", "main made an event loop"),
        ("queue", "opened a pipe"),
    ],
)
def test_unshareable_import_state_steps_down_preload(tmp_path, part, why):
    with serve(tmp_path, part, "app") as served:
        assert served.wait_for(rf"not safe to fork with --preload app: .*{why}; using deps")
        check_as_imported_alone(answers(served))


NAMED = """
from multiprocessing import shared_memory
MEMORY = shared_memory.SharedMemory(name={name!r}, create=True, size=64)
MEMORY.buf[0] = 7

async def app(scope, receive, send):
    await send({{"type": "http.response.start", "status": 200, "headers": []}})
    await send({{"type": "http.response.body", "body": b"%d" % MEMORY.buf[0]}})
"""


@pytest.mark.parametrize("mode", ["app", "deps", "none"])
def test_name_of_shared_memory_is_free_after_discarded_import(tmp_path, mode):
    name = f"corn-test-{os.getpid()}"
    (tmp_path / "main.py").write_text(NAMED.format(name=name))
    arguments = ("main:app", "--port", "0", "--preload", mode, "--lifespan", "off")
    with Served(tmp_path, *arguments).wait_ready() as served:
        assert served.client().get() == "7"
        served.signal(signal.SIGTERM)
        assert served.wait_exit() == 0
        served.wait_until(lambda: not os.path.exists(f"/dev/shm/{name}"), "the name is free")


# Each would be named in the log if it made corn step down.
SHAREABLE = {
    "appended_log": "import logging\nh = logging.FileHandler('app.log')\nlogging.root.addHandler(h)\n",
    "truncated_log": "import logging\nh = logging.FileHandler('new.log', mode='w')\nlogging.root.addHandler(h)\n",
    "read_only_mapping": (
        "import mmap\nwith open(__file__, 'rb') as f:\n    m = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ)\n"
    ),
    "closed_loop": "import asyncio\nasyncio.run(asyncio.sleep(0))\n",
    "closed_file": "open(__file__).close()\n",
    "in_memory_database": "import sqlite3\nd = sqlite3.connect(':memory:')\n",
    "semaphore": "import multiprocessing\nlock = multiprocessing.Lock()\n",
    "seeded": "import random\nrandom.seed(7)\n",
}


def test_shareable_import_state_keeps_preload_mode(tmp_path):
    for name, source in SHAREABLE.items():
        (tmp_path / f"{name}.py").write_text(source)
    (tmp_path / "main.py").write_text(f"import {', '.join(SHAREABLE)}\n" + APPLICATION)
    with Served(tmp_path, "main:app", "--port", "0", PARTS="").wait_ready() as served:
        assert "preload app)" in served.output
        assert "not safe to fork" not in served.output
