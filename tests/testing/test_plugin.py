"""pytest plugin, found by its entry point, in separate pytest runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
APP = """
import urllib.request
import pytest

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        raise RuntimeError
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": b"hello"})

def get(url):
    with urllib.request.urlopen(url) as response:
        return response.read()
"""


@pytest.fixture
def run(tmp_path):
    """Run pytest on a test file; returns its exit code and output."""
    # What an installation writes: the environment of the tests may have been made before there was an entry point.
    about = tmp_path / "installed" / "corn_server-0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: corn-server\nVersion: 0\n")
    entries = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["pytest11"]
    lines = [f"{name} = {value}" for name, value in entries.items()]
    (about / "entry_points.txt").write_text("\n".join(["[pytest11]", *lines, ""]))

    def run(test):
        (tmp_path / "test_it.py").write_text(APP + test)
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_it.py"],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": f"{about.parent}{os.pathsep}{ROOT}"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    return run


def test_fixture_serves_applications_until_test_ends(run):
    code, shown = run("""
urls = []

def test_one(corn_server):
    first, second = corn_server(app), corn_server(app, root_path="/api")
    assert get(first.url) == get(second.url) == b"hello"
    urls.extend([first.url, second.url])

def test_afterwards():
    for url in urls:
        with pytest.raises(OSError):
            get(url)
""")
    assert code == 0, shown
    assert "2 passed" in shown


def test_report_of_failed_test_only_has_server_log(run):
    code, shown = run("""
def test_passes(corn_server):
    get(corn_server(app).url + "/passes")

def test_fails(corn_server):
    get(corn_server(app).url + "/fails")
    assert False
""")
    assert code == 1
    assert "log of the corn server at http://127.0.0.1:" in shown
    assert "GET /fails" in shown
    assert "GET /passes" not in shown


def test_plugin_without_use_loads_no_server_module(run):
    code, shown = run("""
import sys

def test_nothing_is_loaded():
    assert not {"corn.embedding.server", "corn.testing.serve", "uvloop", "httptools"} & sys.modules.keys()
""")
    assert code == 0, shown


def test_async_test_uses_server_in_running_event_loop(run):
    code, shown = run("""
import asyncio
import corn.testing

def test_async():
    async def main():
        async with corn.testing.serve(app) as server:
            assert await asyncio.to_thread(get, server.url) == b"hello"

    asyncio.run(main())
""")
    assert code == 0, shown
