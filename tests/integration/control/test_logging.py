"""Log files, reopened on SIGUSR1, log formats and levels of real instances."""

from __future__ import annotations

import json
import re
import signal

from tests.support.control_cli import Commanded
from tests.support.corn_process import Served, write_app


def open_files(served):
    return [each.path for worker in served.workers() for each in worker.open_files()]


def test_reopen_logs_opens_files_of_all_processes_anew(tmp_path):
    (tmp_path / "main.py").write_text(APP)
    log, access = tmp_path / "corn.log", tmp_path / "access.log"
    arguments = ("--port", "0", "--workers", "2", "--log-file", "corn.log", "--access-log-file", "access.log")
    with Commanded(tmp_path, "main:app", *arguments, sockets=tmp_path / "sockets") as served:
        served.wait_until(lambda: log.exists() and "serves main:app" in log.read_text(), "the announcement")
        served.address = re.search(r"serves .+? at (\S+?),? \(", log.read_text())[1]
        log.rename(tmp_path / "corn.log.1")
        access.rename(tmp_path / "access.log.1")
        assert served.output_of("reopen-logs") == "log files are reopened\n"
        moved = {str(tmp_path / "corn.log.1"), str(tmp_path / "access.log.1")}
        served.wait_until(lambda: moved.isdisjoint(open_files(served)), "the old files closed")
        served.client().request("/boom")
        served.wait_until(lambda: "GET /boom" in access.read_text(), "a line of the access log")
        served.wait_until(lambda: "failed with ValueError" in log.read_text(), "a line of the log")
        log.unlink()
        log.mkdir()
        done = served.ask("reopen-logs")
        assert (done.returncode, done.stdout) == (1, "")
        assert "cannot reopen the log, which continues in the old file: --log-file: cannot open" in done.stderr
        assert served.client().get("/")


def test_sigusr1_reopens_access_log_in_all_workers(tmp_path):
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


APP = """
import logging
log = logging.getLogger("shop")

async def app(scope, receive, send):
    if scope["path"] == "/missing":
        await send({"type": "http.response.start", "status": 404, "headers": []})
        await send({"type": "http.response.body", "body": b""})
        return
    log.debug("a detail")
    log.info("at work")
    if scope["path"] == "/boom":
        raise ValueError("two\\nlines")
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})
"""


def test_json_log_has_one_object_for_each_record(tmp_path):
    (tmp_path / "main.py").write_text(APP)
    arguments = ("--port", "0", "--log-format", "json", "--request-id", "--log-level", "info,app=info")
    with Commanded(tmp_path, "main:app", *arguments, sockets=tmp_path / "sockets") as served:
        served.address = served.wait_for(r"serves .+? at (\S+?),? \(")[1]
        served.client().get("/")
        served.client().request("/boom")
        served.output_of("stop", "--wait")
        served.wait_exit()
        lines = [json.loads(line) for line in served.output.splitlines()]
    access = [each for each in lines if each["logger"] == "corn.access"]
    assert [(each["level"], each["status"], each["worker"], each["generation"]) for each in access] == [
        ("info", 200, 0, 1),
        ("error", 500, 0, 1),
    ]
    (failure,) = [each for each in lines if "failed with ValueError" in each.get("message", "")]
    assert "Traceback" in failure["traceback"]
    assert access[1]["request_id"] in failure["message"]
    assert [each["source"] for each in lines if each["logger"] == "shop"] == ["worker", "worker"]
    assert {"master", "worker"} <= {each["source"] for each in lines}


def test_log_level_of_each_part_changes_at_run_time(tmp_path):
    (tmp_path / "main.py").write_text(APP)
    arguments = ("--port", "0", "--log-level", "info,access=warning")
    with Commanded(tmp_path, "main:app", *arguments, sockets=tmp_path / "sockets").wait_ready() as served:
        served.client().get("/quiet")
        served.client().request("/missing")
        served.wait_for('WARNING .*"GET /missing HTTP/1.1" 404')
        assert "GET /quiet" not in served.output
        assert "a detail" not in served.output
        assert served.output_of("log-level", "debug,access=info") == "log level debug,access=info\n"
        served.wait_until(lambda: served.client().get("/loud") and "GET /loud" in served.output, "the access log")
        served.wait_for("DEBUG .* shop: a detail")
        served.output_of("restart", "0", "--wait")
        since = served.mark()
        served.client().get("/")
        served.wait_for("DEBUG .* shop: a detail", since=since)


def test_sigusr1_reopens_log_file(tmp_path):
    (tmp_path / "main.py").write_text(APP)
    log = tmp_path / "corn.log"
    arguments = ("--port", "0", "--log-file", "corn.log", "--log-level", "info,app=info")
    with Commanded(tmp_path, "main:app", *arguments, sockets=tmp_path / "s") as served:
        served.wait_until(lambda: log.exists() and "serves main:app" in log.read_text(), "the announcement")
        served.address = re.search(r"serves .+? at (\S+?),? \(", log.read_text())[1]
        served.client().get("/before")
        served.wait_until(lambda: "GET /before" in log.read_text(), "a line")
        log.rename(tmp_path / "old")
        served.signal(signal.SIGUSR1)
        served.wait_until(log.exists, "a new file")
        served.wait_until(lambda: str(tmp_path / "old") not in open_files(served), "the old file closed")
        served.client().get("/after")
        served.output_of("stop", "--wait")
        assert served.wait_exit() == 0
    assert all(word in log.read_text() for word in ("shop: at work", "GET /after", "exited: stop"))
    assert "/after" not in (tmp_path / "old").read_text()
    assert served.output == ""


def test_log_config_applies_in_workers(tmp_path):
    (tmp_path / "main.py").write_text(APP)
    (tmp_path / "log.toml").write_text(LOG_CONFIG)
    arguments = ("--port", "0", "--soak", "0", "--log-config", "log.toml")
    with Commanded(tmp_path, "main:app", *arguments, sockets=tmp_path / "sockets").wait_ready() as served:
        served.client().get("/some?q=1")
        served.wait_for("INFO/shop/at work")
        line = served.wait_for('INFO/corn.access/127.0.0.1:[0-9]+ - "GET /some\\?q=1 HTTP/1.1" 200')
        assert line[0].startswith("INFO")
        (tmp_path / "log.toml").write_text("version = 2\n")
        done = served.ask("reload", "--wait")
        assert done.returncode == 1
        assert "--log-config: log.toml cannot be used: Unsupported version: 2" in done.stderr


LOG_CONFIG = """
version = 1
disable_existing_loggers = true
[formatters.short]
format = "%(levelname)s/%(name)s/%(message)s"
[handlers.out]
class = "logging.StreamHandler"
formatter = "short"
[root]
level = "INFO"
handlers = ["out"]
"""
