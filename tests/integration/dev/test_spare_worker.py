"""Spare worker of corn dev: it serves the next version, and its loss is harmless."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import psutil
import pytest

from tests.support.corn_process import Served, write_app


def develop(directory: Path, *arguments: str) -> Served:
    dev = [sys.executable, "-m", "corn", "dev"]
    return Served(directory, "main:app", "--port", "0", *arguments, program=dev).wait_ready()


def spare_of(served: Served) -> psutil.Process:
    """Wait until the only template has a spare worker, and return it."""

    def has_settled() -> bool:
        templates, spares = served.templates(), served.spares()
        return len(templates) == len(spares) == 1 and spares[0].create_time() >= templates[0].create_time()

    served.wait_until(has_settled, "one template has one spare")
    return served.spares()[0]


def answer(served: Served) -> tuple[str, int]:
    with served.client() as client:
        version, pid = client.get().split()
    return version, int(pid)


def save(served: Served, version: str) -> int:
    """Save a version, and wait until it is served; returns the process id of the worker."""
    write_app(served.directory, version)
    served.wait_until(lambda: answer(served)[0] == version, f"{version} is served")
    return answer(served)[1]


@pytest.fixture
def project(tmp_path):
    write_app(tmp_path, "one")
    return tmp_path


def test_spare_worker_serves_next_version(project):
    with develop(project) as served:
        for version in ("two", "three"):
            spare = spare_of(served)
            assert save(served, version) == spare.pid


def test_killed_spare_worker_is_replaced(project):
    with develop(project) as served:
        spare = spare_of(served)
        spare.kill()
        served.wait_until(lambda: not spare.is_running(), "it is gone")
        assert save(served, "two") != spare.pid
        spare_of(served)


def test_spare_worker_exits_with_killed_master(project):
    with develop(project) as served:
        spare_of(served)
        served.signal(signal.SIGKILL)
        served.wait_exit()
        served.wait_until(lambda: not served.leftovers(), "all have ended")


def test_spare_worker_exits_at_stop(project):
    with develop(project) as served:
        spare_of(served)
        served.signal(signal.SIGTERM)
        assert served.wait_exit() == 0
        served.wait_until(lambda: not served.leftovers(), "all have ended")


def test_save_replaces_all_workers_beside_spare(project):
    with develop(project, "--workers", "3") as served:
        spare_of(served)
        save(served, "two")
        served.wait_until(lambda: len(served.workers()) == 3, "all three work")
        assert {answer(served)[0] for _ in range(20)} == {"two"}
