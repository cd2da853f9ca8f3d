"""corn under a service manager such as systemd, with a real NOTIFY_SOCKET."""

from __future__ import annotations

import os
import re
import signal
import socket
import time

import psutil
import pytest

from tests.support.corn_process import DEADLINE, Served, write_app
from tests.support.http_client import Client, Load
from tests.support.systemd import Manager


@pytest.fixture
def manager(tmp_path):
    with Manager(tmp_path) as manager:
        yield manager


def listening() -> socket.socket:
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    sock.listen(16)
    return sock


def test_notify_socket_receives_start_reload_and_stop(tmp_path, manager):
    write_app(tmp_path, "one")
    with manager.start(tmp_path, "main:app", "--workers", "2", "--port", "0", "--soak", "0").wait_ready() as served:
        manager.wait_for("READY=1")
        began = [text.partition("=")[0] for _, text in manager.notices]
        assert began.index("FDSTORE") < began.index("EXTEND_TIMEOUT_USEC") < began.index("READY")
        manager.wait_for("STATUS=serving: 2 workers, generation 1")
        before, since = time.monotonic(), len(manager.notices)
        write_app(tmp_path, "two")
        served.signal(signal.SIGHUP)
        received = manager.wait_for("RELOADING=1", since=since)
        assert before <= int(re.search(r"MONOTONIC_USEC=(\d+)", received)[1]) / 1e6 <= time.monotonic()
        manager.wait_for("READY=1", since=since)
        manager.wait_for("STATUS=serving: 2 workers, generation 2", since=since)
        served.signal(signal.SIGTERM)
        manager.wait_for("STOPPING=1")
        assert served.wait_exit() == 0
        manager.wait_for("FDSTOREREMOVE=1")
        assert manager.store == {}, "a stopped service stores no descriptors"
        assert {pid for pid, _ in manager.notices} == {served.pid}
        assert manager.all("WATCHDOG") == []


def test_notify_socket_may_be_abstract(tmp_path):
    write_app(tmp_path, "one")
    with Manager(tmp_path, abstract=True) as manager, manager.start(tmp_path, "main:app", "--port", "0"):
        manager.wait_for("READY=1")


def test_notify_socket_missing_or_full_does_not_affect_service(tmp_path):
    write_app(tmp_path, "one")
    with Served(tmp_path, "main:app", "--port", "0", NOTIFY_SOCKET=str(tmp_path / "nobody")).wait_ready() as served:
        served.wait_for("the service manager at NOTIFY_SOCKET cannot be notified: No such file or directory")
        assert served.client().get().startswith("one ")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as full:
        full.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        full.bind(str(tmp_path / "full"))
        name = str(tmp_path / "full")
        with Served(
            tmp_path, "main:app", "--port", "0", NOTIFY_SOCKET=name, WATCHDOG_USEC="30000"
        ).wait_ready() as served:
            assert served.client().get().startswith("one ")
            served.signal(signal.SIGTERM)
            assert served.wait_exit() == 0


def test_notify_socket_receives_end_of_refused_reload(tmp_path, manager):
    write_app(tmp_path, "one")
    (tmp_path / "corn.toml").write_text("port = 0\n")
    with manager.start(tmp_path, "main:app").wait_ready() as served:
        manager.wait_for("READY=1")
        since = len(manager.notices)
        (tmp_path / "corn.toml").write_text("prt = 0\n")
        served.signal(signal.SIGHUP)
        manager.wait_for("RELOADING=1", since=since)
        assert "STATUS=reload refused: " in manager.wait_for("READY=1", since=since)


def test_watchdog_is_notified_while_serving(tmp_path, manager):
    write_app(tmp_path, "one")
    with manager.start(tmp_path, "main:app", "--port", "0", WATCHDOG_USEC="300000").wait_ready() as served:
        so_far = len(manager.all("WATCHDOG=1"))
        served.wait_until(lambda: len(manager.all("WATCHDOG=1")) > so_far + 5, "signs of life")


def test_watchdog_for_other_pid_is_ignored(tmp_path, manager):
    write_app(tmp_path, "one")
    environment = {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "30000", "WATCHDOG_PID": "1"}
    with Served(tmp_path, "main:app", "--port", "0", **environment).wait_ready():
        manager.wait_for("STATUS=serving")
        assert manager.all("WATCHDOG") == []


def test_passed_sockets_are_used_without_bind_option(tmp_path, manager):
    write_app(tmp_path, "one")
    with listening() as first, listening() as second:
        passed = [("web", first), ("admin", second)]
        with manager.start(tmp_path, "main:app", passed=passed) as served:
            manager.wait_for("READY=1")
            for sock in (first, second):
                assert Client(f"http://127.0.0.1:{sock.getsockname()[1]}").get().startswith("one ")
            assert manager.all("FDSTORE") == [], "the manager has them already"
            assert "LISTEN_FDS" not in psutil.Process(served.workers()[0].pid).environ()
            assert "NOTIFY_SOCKET" not in psutil.Process(served.templates()[0].pid).environ()


def test_passed_socket_is_selected_by_name(tmp_path, manager):
    write_app(tmp_path, "one")
    with listening() as first, listening() as second:
        passed = [("web", first), ("admin", second)]
        with manager.start(tmp_path, "main:app", "--bind", "fd://admin", passed=passed).wait_ready() as served:
            assert served.address.endswith(f":{second.getsockname()[1]}")
            assert len(re.findall("http://", served.output)) == 1
            since = len(manager.notices)
            served.signal(signal.SIGUSR2)
            assert served.process.wait(DEADLINE) == 0
            manager.wait_for("MAINPID=", since=since)
            assert served.client().get().startswith("one ")


def test_unknown_passed_socket_name_exits_4(tmp_path, manager):
    write_app(tmp_path, "one")
    mistaken = ("main:app", "--bind", "fd://wbe")
    with listening() as sock, manager.start(tmp_path, *mistaken, passed=[("web", sock)]) as served:
        assert served.wait_exit() == 4
        assert "passed no socket fd://wbe; it passed fd://web" in served.output
    with Served(tmp_path, "main:app", "--bind", "fd://web") as served:
        assert served.wait_exit() == 4
        assert "passed no socket fd://web; it passed none" in served.output


def test_passed_sockets_for_other_pid_are_ignored_with_warning(tmp_path):
    write_app(tmp_path, "one")
    with Served(tmp_path, "main:app", "--port", "0", LISTEN_FDS="1", LISTEN_PID="1").wait_ready() as served:
        served.wait_for("LISTEN_FDS is for process 1, not for this one")


def test_stored_descriptor_that_is_not_socket_is_reported_once(tmp_path, manager):
    write_app(tmp_path, "one")
    with (
        (tmp_path / "file").open("w") as file,
        manager.start(tmp_path, "main:app", "--port", "0", passed=[("a", file), ("b", file)]).wait_ready() as served,
    ):
        assert served.output.count("3 is not a socket: Socket operation on non-socket") == 1


@pytest.mark.parametrize("where", ["tcp", "unix"])
def test_listener_of_killed_master_is_taken_over(tmp_path, manager, where):
    write_app(tmp_path, "one")
    options = ("--uds", str(tmp_path / "corn.sock")) if where == "unix" else ("--port", "0")
    with manager.start(tmp_path, "main:app", "--no-access-log", *options).wait_ready() as first:
        with Load(first.address, clients=4) as load:
            first.wait_until(lambda: len(load.answers) > 20, "answers")
            first.process.kill()
            first.process.wait(DEADLINE)
            first.wait_until(lambda: not first.leftovers(), "its workers gone")
            with Client(first.address) as early:
                early.connect().close()  # taken into the queue, though no process serves
            with manager.start(tmp_path, "main:app", "--no-access-log", *options).wait_ready() as second:
                assert second.address == first.address
                so_far = len(load.answers)
                second.wait_until(lambda: len(load.answers) > so_far + 20, "answers again")
                load.stop()
        refused = [each for each in load.failures if "refused" in each.lower()]
        assert refused == [], "no connection was refused"


def test_stored_listener_of_removed_address_is_discarded(tmp_path, manager):
    write_app(tmp_path, "one")
    with manager.start(tmp_path, "main:app", "--uds", "old.sock") as first:
        manager.wait_for("READY=1")
        (old,) = manager.store
        first.process.kill()
        first.process.wait(DEADLINE)
        first.wait_until(lambda: not first.leftovers(), "its workers gone")
    since = len(manager.notices)
    with manager.start(tmp_path, "main:app", "--uds", "new.sock"):
        manager.wait_for("READY=1", since=since)
        assert manager.wait_for("FDSTOREREMOVE=1", since=since).endswith(old)
        assert len(manager.store) == 1
        assert Client(f"unix:{tmp_path / 'new.sock'}").get().startswith("one ")


def test_upgrade_sends_mainpid_and_new_master_notifies(tmp_path, manager):
    write_app(tmp_path, "one")
    with manager.start(tmp_path, "main:app", "--port", "0", WATCHDOG_USEC="300000").wait_ready() as served:
        since = len(manager.notices)
        served.signal(signal.SIGUSR2)
        new = int(manager.wait_for("MAINPID=", since=since, sender=served.pid).removeprefix("MAINPID="))
        assert served.process.wait(DEADLINE) == 0
        gone = len(manager.notices)
        manager.wait_for("READY=1\nSTATUS=serving", since=since, sender=new)
        manager.wait_for("FDSTORE=1", since=since, sender=new)
        manager.wait_for("WATCHDOG=1", since=gone, sender=new)
        assert manager.all("STOPPING") == []
        os.kill(new, signal.SIGTERM)
        manager.wait_for("STOPPING=1", sender=new)
        served.wait_until(lambda: not served.leftovers(), "all gone")
