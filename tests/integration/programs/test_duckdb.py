"""DuckDB, which locks its file for one process, with a connection that is made at import."""

from __future__ import annotations

import importlib.util
import signal

import pytest

from tests.support.corn_process import Served
from tests.support.dev_project import Developed, save

pytestmark = [
    pytest.mark.programs,
    pytest.mark.skipif(importlib.util.find_spec("duckdb") is None, reason="needs duckdb: make programs"),
]
SOURCE = """
import duckdb
DATABASE = duckdb.connect("shop.duckdb")
DATABASE.execute("create table if not exists visit (version varchar)")

async def app(scope, receive, send):
    DATABASE.execute("insert into visit values ('{version}')")
    (count,) = DATABASE.execute("select count(*) from visit").fetchone()
    await send({{"type": "http.response.start", "status": 200, "headers": []}})
    await send({{"type": "http.response.body", "body": f"{version} {{count}}".encode()}})
"""


def write(directory, version):
    save(directory / "main.py", SOURCE.format(version=version))


def test_locked_duckdb_is_available_after_each_save(tmp_path):
    write(tmp_path, "one")
    with Developed(tmp_path, "--lifespan", "off").wait_ready() as served:
        assert served.client().get() == "one 1"
        for count, version in enumerate(("two", "three", "four", "five"), 2):
            mark = served.mark()
            write(tmp_path, version)
            served.wait_for("reloaded in", since=mark)
            assert served.client().get() == f"{version} {count}"
        assert "failed to start" not in served.output
        served.signal(signal.SIGINT)
        assert served.wait_exit() == 0


def test_locked_duckdb_is_available_to_replaced_worker(tmp_path):
    write(tmp_path, "one")
    with Served(tmp_path, "main:app", "--port", "0", "--lifespan", "off").wait_ready() as served:
        served.wait_for(r"not safe to fork with --preload app: main .*; using deps")
        assert served.client().get() == "one 1"
        (victim,) = served.workers()
        victim.kill()
        served.wait_until(lambda: [each.pid for each in served.workers()] not in ([], [victim.pid]), "another worker")
        assert served.client().get() == "one 2"
        served.signal(signal.SIGTERM)
        assert served.wait_exit() == 0
