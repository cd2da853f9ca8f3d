"""Operator commands against real instances: effect, output and exit code."""

from __future__ import annotations

import json
import signal

import pytest

from tests.support.control_cli import Commanded, command
from tests.support.corn_process import DEADLINE, write_app
from tests.support.http_client import Load

QUICK = ("--port", "0", "--soak", "0", "--no-access-log")


@pytest.fixture
def served(tmp_path, sockets):
    write_app(tmp_path, "one")
    with Commanded(tmp_path, "main:app", "-w", "2", *QUICK, sockets=sockets).wait_ready() as served:
        yield served


def pids(status):
    return {each["slot"]: each["pid"] for each in status["workers"] if each["stage"] == "ready"}


def test_commands_under_load_fail_no_request(tmp_path, served):
    with Load(served.address, clients=4) as load:
        assert "serving" in served.output_of("status")
        assert served.output_of("scale", "+1", "--wait") == "3 workers serve\n"
        write_app(tmp_path, "two")
        assert served.output_of("reload", "--wait") == "reloaded: generation 2 serves\n"
        assert served.client().get().startswith("two ")
        before = pids(served.status())
        assert served.output_of("restart", "0", "--wait").startswith("worker 0 is process ")
        assert served.output_of("drain", "1", "--wait").endswith("has exited\n")
        served.wait_until(lambda: served.status()["ready"] == 2, "both serve")
        after = pids(served.status())
        assert after[0] != before[0]
        assert after[1] != before[1]
        assert served.output_of("rollback", "--wait") == "rolled back: generation 1 serves\n"
        assert served.client().get().startswith("one ")
        load.stop()
        assert load.failures == []
        # A request is counted after the client has received the response.
        answered = len(load.answers) + 2
        served.wait_until(lambda: served.status()["counted"]["requests"] >= answered, "all are counted")
        status = served.status()
        assert status["counted"]["requests"] == answered
        assert status["counted"]["statuses"][2] == answered
        assert sum(status["counted"]["latency"]) == answered
        assert {each["restarts"] for each in status["slots"]} == {1}
        assert status["reloads"] == {"done": 1, "rolled back": 1}
    assert served.output_of("stop", "--wait") == "stopped\n"
    assert served.process.wait(DEADLINE) == 0


def test_refused_reload_prints_traceback_and_exits_1(tmp_path, served):
    (tmp_path / "main.py").write_text("import nothing_like_it\n")
    done = served.ask("reload", "--wait")
    assert done.returncode == 1
    assert "reload refused, generation 1 continues to serve" in done.stderr
    assert "Traceback" in done.stderr
    assert "import nothing_like_it" in done.stderr
    assert served.status()["phase"] == "serving"
    assert "nothing_like_it" in served.output_of("status")
    assert served.ask("rollback").returncode == 1


def test_reload_with_invalid_config_exits_1(tmp_path, sockets):
    write_app(tmp_path, "one")
    (tmp_path / "corn.toml").write_text('app = "main:app"\nport = 0\n')
    with Commanded(tmp_path, sockets=sockets).wait_ready() as served:
        (tmp_path / "corn.toml").write_text('app = "main:app"\nport = 0\nwokers = 3\n')
        done = served.ask("reload", "--wait")
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == "corn: corn.toml: unknown option 'wokers'; did you mean 'workers'?\n"
        assert command(sockets, "status", "--config", str(tmp_path / "corn.toml")).returncode == 0


def test_upgrade_hands_over_control_socket(tmp_path, served, sockets):
    old = served.pid
    write_app(tmp_path, "two")
    with Load(served.address, clients=2) as load:
        assert served.output_of("upgrade", "--wait") == "upgraded: the new master serves\n"
        assert served.process.wait(DEADLINE) == 0
        status = json.loads(command(sockets, "status", "--json").stdout)
        assert status["pid"] != old
        assert status["phase"] == "serving"
        assert served.client().get().startswith("two ")
        load.stop()
        assert load.failures == []
    assert len(list(sockets.iterdir())) == 1
    assert command(sockets, "stop", "--wait", cwd=tmp_path).stdout == "stopped\n"
    served.wait_until(lambda: not served.leftovers(), "all gone")
    assert list(sockets.iterdir()) == []


def test_failed_upgrade_exits_1_and_keeps_old_master(tmp_path, served):
    (tmp_path / "main.py").write_text("1 / 0\n")
    done = served.ask("upgrade", "--wait")
    assert done.returncode == 1
    assert "upgrade failed, the old master continues to serve" in done.stderr
    assert served.status()["pid"] == served.pid


def test_command_among_two_instances_needs_selection(tmp_path, sockets, served):
    other = tmp_path / "other"
    other.mkdir()
    write_app(other, "other")
    with Commanded(other, "main:app", *QUICK, sockets=sockets).wait_ready() as second:
        done = command(sockets, "status")
        assert done.returncode == 2
        assert "several instances are running; select one with --pid, --bind or --config" in done.stderr
        assert f"pid {served.pid}: main:app at {served.address}" in done.stderr
        assert f"pid {second.pid}: main:app at {second.address}" in done.stderr
        port = second.address.rpartition(":")[2]
        assert f"serves main:app at {second.address}" in command(sockets, "status", "--bind", port).stdout
        assert second.output_of("stop", "--wait") == "stopped\n"
        assert served.status()["phase"] == "serving"
        assert command(sockets, "list").stdout.count("\n") == 1


def test_command_without_instance_exits_6(sockets):
    for arguments in (["status"], ["reload", "--wait"], ["list"], ["stop"]):
        done = command(sockets, *arguments)
        line = "corn: this user can control no running instance; start one with 'corn serve'\n"
        assert (done.returncode, done.stdout, done.stderr) == (6, "", line)


def test_stale_socket_of_killed_master_is_replaced(tmp_path, sockets):
    write_app(tmp_path, "one")
    with Commanded(tmp_path, "main:app", *QUICK, sockets=sockets).wait_ready() as served:
        served.process.kill()
        served.process.wait(DEADLINE)
        (left,) = sockets.iterdir()
        assert command(sockets, "status").returncode == 6
    with Commanded(tmp_path, "main:app", *QUICK, sockets=sockets).wait_ready() as again:
        assert not left.exists()
        assert again.status()["phase"] == "serving"


def test_command_to_suspended_master_exits_7(served):
    served.signal(signal.SIGSTOP)
    try:
        assert served.ask("status").returncode == 7
        assert command(served.sockets, "status").returncode == 7
    finally:
        served.signal(signal.SIGCONT)
    assert served.status()["phase"] == "serving"


REFUSALS = [
    (["scale", "0"], 2, "the number of workers must be from 1 to 512, not 0"),
    (["scale", "many"], 2, "invalid number of workers 'many'"),
    (["scale", "-5"], 2, "the number of workers must be from 1 to 512, not -3"),
    (["restart", "7"], 2, "there is no worker 7"),
    (["drain", "99999999"], 2, "there is no worker 99999999"),
    (["rollback"], 1, "no previous generation is kept in memory"),
]


def test_impossible_command_is_refused_in_one_line(served):
    for arguments, code, words in REFUSALS:
        done = served.ask(*arguments)
        assert (done.returncode, done.stdout) == (code, "")
        assert words in done.stderr
        assert done.stderr.count("\n") == 1


BUSY = """
import asyncio, time

async def app(scope, receive, send):
    if scope["path"] == "/slow":
        await asyncio.sleep(1000)
    if scope["path"] == "/stuck":
        end = time.monotonic() + 1000
        while time.monotonic() < end:
            pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})
"""


def has_all(text, parts):
    return all(each in text for each in parts)


def test_status_shows_processor_time_of_each_worker(tmp_path, sockets):
    write_app(tmp_path, "one", more="\nwhile __import__('time').process_time() < 0.6: pass\n")
    with Commanded(tmp_path, "main:app", "--preload", "none", *QUICK, sockets=sockets).wait_ready() as served:
        (worker,) = served.status()["workers"]
        assert worker["cpu"] >= 0.5
        _, head, row = served.output_of("status").rstrip().rsplit("\n", 2)
        assert float(dict(zip(head.split(), row.split(), strict=True))["CPU"].removesuffix("s")) >= 0.5


def test_requests_and_stacks_of_blocked_worker_are_shown(tmp_path, sockets):
    (tmp_path / "main.py").write_text(BUSY)
    arguments = ("--timeout-worker", "1000", *QUICK)
    with Commanded(tmp_path, "main:app", *arguments, sockets=sockets).wait_ready() as served:
        assert served.output_of("requests") == "no in-flight requests\n"
        with served.client().connect() as slow, served.client().connect() as stuck:
            slow.sendall(b"GET /slow?x=1 HTTP/1.1\r\nHost: a\r\n\r\n")
            served.wait_until(lambda: "GET /slow" in served.output_of("requests"), "a request in flight")
            stuck.sendall(b"GET /stuck HTTP/1.1\r\nHost: a\r\n\r\n")
            served.wait_until(lambda: "GET /stuck" in served.output_of("requests"), "both requests")
            (worker,) = json.loads(served.output_of("requests", "--json"))["workers"]
            assert [each["path"] for each in worker["requests"]] == ["/slow", "/stuck"]
            assert worker["requests"][0]["age"] >= worker["requests"][1]["age"] > 0
            # A worker that stands still within a dump shows its threads alone.
            whole = ("in app", "asyncio tasks: ", "await asyncio.sleep(1000)")
            served.wait_until(lambda: has_all(served.output_of("stacks", "0"), whole), "a whole dump")
            assert served.ask("stacks", "9").returncode == 2
            served.wait_until(lambda: "event loop blocked for" in served.output_of("status"), "a note")
        assert served.ask("stop", "--now", "--wait").returncode == 0
