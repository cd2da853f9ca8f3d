"""Log files that are moved away are opened anew on USR1, and nothing is lost."""

from __future__ import annotations

import signal

from tests.integration.served import Served, write_app


def open_files(served):
    return [each.path for worker in served.workers() for each in worker.open_files()]


def test_usr1_reopens_the_access_log_in_all_workers(tmp_path):
    write_app(tmp_path, "one")
    log = tmp_path / "access.log"
    arguments = ("--port", "0", "--workers", "2", "--access-log-file", str(log))
    with Served(tmp_path, "main:app", *arguments).wait_ready() as served:
        for number in range(10):
            served.client().get(f"/before{number}")
        served.wait_until(lambda: log.read_text().count("/before") == 10, "ten lines")
        log.rename(tmp_path / "access.log.1")
        served.signal(signal.SIGUSR1)
        served.wait_until(log.exists, "a new file")
        moved = str(tmp_path / "access.log.1")
        served.wait_until(lambda: moved not in open_files(served), "the old file closed")
        for number in range(10):
            served.client().get(f"/after{number}")
        served.wait_until(lambda: log.read_text().count("/after") == 10, "ten more lines")
        assert "/after" not in (tmp_path / "access.log.1").read_text()
        assert served.process.poll() is None
