"""Binary upgrade on SIGUSR2: a new master takes over the sockets, or the old one continues."""

from __future__ import annotations

import signal

import psutil
import pytest

from tests.support.corn_process import DEADLINE, Served, write_app
from tests.support.http_client import Load
from tests.support.shell import has_ended


@pytest.fixture(params=["tcp", "unix"])
def where(request, tmp_path):
    return ("--uds", str(tmp_path / "corn.sock")) if request.param == "unix" else ("--port", "0")


def master_of(served):
    """The current master, if the test did not start it itself."""
    found = [each for each in served.leftovers() if served.name(each) == "corn master"]
    return found[0] if found else None


def test_upgrade_under_load_fails_no_request(tmp_path, where):
    write_app(tmp_path, "one")
    with Served(tmp_path, "main:app", "--workers", "2", *where, "--no-access-log").wait_ready() as served:
        with Load(served.address) as load:
            for number in range(1, 3):
                write_app(tmp_path, f"v{number}")
                old = master_of(served) or psutil.Process(served.pid)
                since = served.mark()
                old.send_signal(signal.SIGUSR2)
                served.wait_for("upgrading: starting a new master", since=since)
                served.wait_for("serves main:app at", since=since)
                served.wait_for("the new master serves: stopping", since=since)
                served.wait_until(lambda old=old: has_ended(old), "the old one gone")
                new = {f"v{number}"}
                served.wait_until(lambda new=new: {each.split()[0] for each in load.answers[-50:]} == new, "new code")
            load.stop()
            assert load.failures == []
        assert served.process.wait(DEADLINE) == 0
        master_of(served).terminate()
        served.wait_until(lambda: not served.leftovers(), "all gone")


def test_failed_upgrade_keeps_old_master(tmp_path, where):
    write_app(tmp_path, "one")
    with Served(tmp_path, "main:app", "--soak", "0", *where, "--no-access-log").wait_ready() as served:
        with Load(served.address, clients=4) as load:
            (tmp_path / "main.py").write_text("raise RuntimeError('broken')\n")
            served.signal(signal.SIGUSR2)
            served.wait_for("could not start: .*broken")
            served.wait_for("upgrade failed, this master continues to serve")
            so_far = len(load.answers)
            served.wait_until(lambda: len(load.answers) > so_far + 50, "more answers")
            write_app(tmp_path, "two")
            served.signal(signal.SIGHUP)
            served.wait_for("reloaded: generation 2 serves")
            # A drained worker that stands still is not waited for longer than a second.
            served.wait_until(lambda: len(served.workers()) == 1, "the old worker gone")
        assert load.failures == []
        assert served.client().get().startswith("two ")


def test_killed_new_master_keeps_old_master(tmp_path):
    write_app(tmp_path, "one")
    with Served(tmp_path, "main:app", "--port", "0").wait_ready() as served:
        (tmp_path / "main.py").write_text("print('loads', flush=True)\nimport time\ntime.sleep(3600)\n")
        served.signal(signal.SIGUSR2)
        served.wait_for("loads")
        master_of(served).kill()
        served.wait_for("upgrade failed, this master continues to serve")
        assert served.client().get().startswith("one ")
        served.wait_until(lambda: master_of(served) is None, "no second master")


def test_stop_during_upgrade_leaves_no_process(tmp_path):
    write_app(tmp_path, "one")
    with Served(tmp_path, "main:app", "--port", "0").wait_ready() as served:
        (tmp_path / "main.py").write_text("print('loads', flush=True)\nimport time\ntime.sleep(3600)\n")
        served.signal(signal.SIGUSR2)
        served.wait_for("loads")
        served.signal(signal.SIGTERM)
        assert served.wait_exit() == 0
        served.wait_until(lambda: not served.leftovers(), "all gone")


def test_pidfile_holds_pid_of_current_master(tmp_path):
    write_app(tmp_path, "one")
    pidfile = tmp_path / "corn.pid"
    with Served(tmp_path, "main:app", "--port", "0", "--pid", str(pidfile)).wait_ready() as served:
        assert int(pidfile.read_text()) == served.pid
        served.signal(signal.SIGUSR2)
        assert served.process.wait(DEADLINE) == 0
        new = int(pidfile.read_text())
        assert new == master_of(served).pid
        (tmp_path / "main.py").write_text("raise RuntimeError('broken')\n")
        psutil.Process(new).send_signal(signal.SIGUSR2)
        served.wait_for("upgrade failed")
        assert int(pidfile.read_text()) == new
        master_of(served).terminate()
        served.wait_until(lambda: not served.leftovers(), "all gone")
        assert not pidfile.exists()
