"""Daemon, pidfile, working directory, umask, and user and group."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil
import pytest

from tests.support.corn_process import DEADLINE, Served, write_app
from tests.support.environment import clean_environment
from tests.support.http_client import Client
from tests.support.shell import has_ended

COMMAND = [sys.executable, "-m", "corn", "serve"]


@pytest.fixture
def app_dir(tmp_path):
    write_app(tmp_path, "one")
    return tmp_path


@pytest.fixture
def background(app_dir):
    """`background(*arguments)` runs `corn serve --daemon`; the daemon is killed after the test."""
    pidfile = app_dir / "corn.pid"

    def run(*arguments, command=COMMAND, **streams):
        return subprocess.run(
            [*command, *arguments, "--daemon", "--pid", str(pidfile), "--uds", str(app_dir / "corn.sock")],
            cwd=app_dir,
            env=clean_environment(PYTHONDONTWRITEBYTECODE="1"),
            timeout=DEADLINE,
            check=False,
            text=True,
            **({"capture_output": True} | streams),
        )

    yield run
    with contextlib.suppress(OSError, ValueError, psutil.NoSuchProcess):
        master = psutil.Process(int(pidfile.read_text()))
        others = master.children(recursive=True)
        for each in [master, *others]:  # the master first: it would replace the others
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()


def wait_until(condition, what):
    deadline, pause = time.monotonic() + DEADLINE, threading.Event()
    while not condition():
        assert time.monotonic() < deadline, f"not within {DEADLINE} s: {what}"
        pause.wait(0.01)


def test_daemon_command_returns_when_service_is_ready(background, app_dir):
    done = background("main:app")
    assert done.returncode == 0, done.stderr
    assert "serves main:app at unix:" in done.stderr
    master = psutil.Process(int((app_dir / "corn.pid").read_text()))
    assert master.name() == "corn master"
    assert master.terminal() is None
    assert os.getsid(master.pid) not in (os.getsid(0), master.pid)
    assert {os.readlink(f"/proc/{master.pid}/fd/{fd}") for fd in (0, 1, 2)} == {"/dev/null"}
    assert Client(f"unix:{app_dir}/corn.sock").get().startswith("one ")
    master.terminate()
    wait_until(lambda: not master.is_running(), "the end of the daemon")
    assert not (app_dir / "corn.pid").exists()
    assert not (app_dir / "corn.sock").exists()


@pytest.mark.parametrize(
    ("source", "arguments", "code", "said"),
    [
        ("1 / 0", (), 3, "could not start: main could not be imported: ZeroDivisionError"),
        ("import os, signal; os.kill(os.getppid(), signal.SIGKILL)", (), 1, "exited before it was ready"),
        ("import os, signal; os.kill(os.getppid(), signal.SIGTERM)\nimport time; time.sleep(60)", (), 1, "SIGTERM"),
        ("", ("--user", "nobdy"), 2, "--user: there is no user 'nobdy'; did you mean 'nobody'?"),
    ],
)
def test_daemon_start_failure_is_reported_on_stderr(background, app_dir, source, arguments, code, said):
    (app_dir / "main.py").write_text(source)
    done = background("main:app", *arguments)
    assert (done.returncode, said in done.stderr) == (code, True), done.stderr
    assert not (app_dir / "corn.pid").exists()


def test_daemon_address_in_use_exits_4(background, app_dir):
    (app_dir / "corn.sock").write_text("")
    done = background("main:app")
    assert done.returncode == 4
    assert done.stderr.startswith(f"corn: {app_dir}/corn.sock exists and is not a socket")


def test_daemon_logs_to_redirected_output(background, app_dir):
    with (app_dir / "log").open("a") as log:
        done = background("main:app", capture_output=False, stdout=log, stderr=log)
    assert done.returncode == 0
    Client(f"unix:{app_dir}/corn.sock").get()
    wait_until(lambda: "GET /" in (app_dir / "log").read_text(), "the access log")
    assert (app_dir / "log").read_text().count("serves main:app") == 1


def test_daemon_closes_terminal(background, app_dir):
    ours, theirs = pty.openpty()
    assert background("main:app", capture_output=False, stdin=theirs, stdout=theirs, stderr=theirs).returncode == 0
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):  # EIO: no process has the terminal open any more
        while chunk := os.read(ours, 4096):
            shown += chunk
    os.close(ours)
    assert b"serves main:app" in shown


def test_sigint_during_daemon_start_exits_130(app_dir):
    (app_dir / "main.py").write_text("import pathlib, time\npathlib.Path('loading').touch()\ntime.sleep(600)")
    with subprocess.Popen(
        [*COMMAND, "main:app", "--daemon", "--port", "0"], cwd=app_dir, env=clean_environment()
    ) as it:
        wait_until((app_dir / "loading").exists, "the application to load")
        it.send_signal(signal.SIGINT)
        assert it.wait(DEADLINE) == 130
    here = os.path.realpath(app_dir)
    wait_until(lambda: not [each for each in psutil.process_iter() if _directory_of(each) == here], "nothing left")


def _directory_of(process):
    with contextlib.suppress(psutil.Error):
        return process.cwd()


def test_pidfile_of_running_master_refuses_second(app_dir):
    pidfile = app_dir / "corn.pid"
    with Served(app_dir, "main:app", "--port", "0", "--pid", "corn.pid").wait_ready() as served:
        assert pidfile.read_text() == f"{served.pid}\n"
        with Served(app_dir, "main:app", "--port", "0", "--pid", "corn.pid") as second:
            assert second.wait_exit() == 2
            assert second.output.startswith(f"corn: --pid: corn is already running as process {served.pid} ({pidfile})")
        served.signal(signal.SIGTERM)
        assert served.wait_exit() == 0
    assert not pidfile.exists()


def test_stale_pidfile_is_replaced(app_dir):
    (app_dir / "corn.pid").write_text("999999999\n")
    with Served(app_dir, "main:app", "--port", "0", "--pid", "corn.pid").wait_ready() as served:
        assert (app_dir / "corn.pid").read_text() == f"{served.pid}\n"


def test_pidfile_option_naming_other_file_exits_2(app_dir):
    with Served(app_dir, "main:app", "--port", "0", "--pid", "main.py") as served:
        assert served.wait_exit() == 2
        assert "main.py contains no process id" in served.output
    assert "VERSION" in (app_dir / "main.py").read_text()


def test_pidfile_of_other_process_is_not_removed(app_dir):
    with Served(app_dir, "main:app", "--port", "0", "--pid", "corn.pid").wait_ready() as served:
        (app_dir / "corn.pid").write_text("4711\n")
        served.signal(signal.SIGTERM)
        assert served.wait_exit() == 0
    assert (app_dir / "corn.pid").read_text() == "4711\n"


def test_pidfile_is_removed_after_failed_start(app_dir):
    (app_dir / "main.py").write_text("1 / 0")
    with Served(app_dir, "main:app", "--port", "0", "--pid", "corn.pid") as served:
        assert served.wait_exit() == 3
    assert not (app_dir / "corn.pid").exists()


MADE = """
async def made(scope, receive, send):
    open("made", "w").close()
    await app(scope, receive, send)
"""


def test_chdir_and_umask_apply_and_chdir_reload_is_refused(tmp_path):
    inner = tmp_path / "inner"
    inner.mkdir()
    write_app(inner, "one", more=MADE)
    (tmp_path / "corn.toml").write_text(
        'app = "main:made"\nport = 0\nchdir = "inner"\numask = "027"\npid = "corn.pid"\n'
    )
    with Served(tmp_path, "--lifespan", "off").wait_ready() as served:
        served.client().get()
        assert stat.S_IMODE((inner / "made").stat().st_mode) == 0o640
        assert (inner / "corn.pid").exists()
        (tmp_path / "corn.toml").write_text('app = "main:made"\nport = 0\nchdir = "other"\numask = "027"\n')
        served.signal(signal.SIGHUP)
        served.wait_for("reload refused.*chdir: there is no directory 'other'")
        assert os.path.samefile(psutil.Process(served.pid).cwd(), inner)


def test_chdir_through_changed_symlink_applies_at_reload(tmp_path):
    for version in ("one", "two"):
        (tmp_path / version).mkdir()
        write_app(tmp_path / version, version)
    (tmp_path / "current").symlink_to("one")
    with Served(tmp_path, "main:app", "--port", "0", "--soak", "0", "--chdir", "current").wait_ready() as served:
        assert served.client().get().startswith("one ")
        (tmp_path / "next").symlink_to("two")
        (tmp_path / "next").replace(tmp_path / "current")
        served.signal(signal.SIGHUP)
        served.wait_for("reloaded: generation 2 serves")
        served.wait_until(lambda: served.client().get().startswith("two "), "the new code")


# Root with CAP_DAC_READ_SEARCH for the user, who may otherwise not read the interpreter.
READER = [
    "setpriv",
    "--bounding-set=-all,+setuid,+setgid,+chown,+dac_read_search",
    "--inh-caps=-all,+dac_read_search",
    "--ambient-caps=+dac_read_search",
    "--securebits=+no_setuid_fixup",
]


def _can_change_user():
    with contextlib.suppress(OSError):
        return os.geteuid() == 0 and subprocess.run([*READER, "true"], capture_output=True, check=False).returncode == 0
    return False


rooted = pytest.mark.skipif(not _can_change_user(), reason="only root can change its user")


@pytest.fixture
def shared_dir():
    """Directory that all users may read and only root may write."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        write_app(Path(name), "one")
        yield Path(name)


@rooted
def test_user_option_applies_to_all_processes_and_files(shared_dir):
    arguments = ("main:app", "--uds", "corn.sock", "--soak", "0", "--user", "nobody", "--pid", "corn.pid")
    with Served(shared_dir, *arguments, program=[*READER, *COMMAND]).wait_ready() as served:
        master = psutil.Process(served.pid)
        nobody = int(subprocess.run(["id", "-u", "nobody"], capture_output=True, check=True).stdout)
        for process in (master, *served.templates(), *served.workers()):
            assert set(process.uids()) == {nobody}, process
            assert 0 not in process.gids(), process
            assert "Groups:\t0 " not in Path(f"/proc/{process.pid}/status").read_text()
        assert served.workers()[0].environ()["USER"] == "nobody"
        for name in ("corn.sock", "corn.pid"):
            assert (shared_dir / name).stat().st_uid == nobody
        assert (shared_dir / "corn.pid").read_text() == f"{served.pid}\n"
        served.workers()[0].kill()
        served.wait_for("crashed: killed by SIGKILL.*; replaced at once")
        served.signal(signal.SIGHUP)
        served.wait_for("reloaded: generation 2 serves")
        assert served.client().get().startswith("one ")
        (control,) = Path(f"/run/corn-{nobody}").glob(f"*{shared_dir.name}*")
        assert (control.stat().st_uid, control.stat().st_mode & 0o777) == (nobody, 0o600)
        done = subprocess.run([sys.executable, "-m", "corn", "stop", "--wait", "--pid", str(served.pid)], check=True)
        assert done.returncode == 0
        assert served.wait_exit() == 0
        assert not control.exists()
    assert (shared_dir / "corn.pid").read_text() == ""


@rooted
def test_group_option_without_user_changes_group(shared_dir):
    with Served(shared_dir, "main:app", "--port", "0", "--group", "nogroup").wait_ready() as served:
        (worker,) = served.workers()
        assert worker.uids().real == 0
        assert worker.gids().real != 0


@rooted
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--user", "nobdy"), "--user: there is no user 'nobdy'; did you mean 'nobody'"),
        (("--user", "4711"), "--user: 4711 has no primary group; name one with --group"),
        (("--group", "nogrop"), "--group: there is no group 'nogrop'; did you mean 'nogroup'"),
        (("--user", "nobody", "--app-dir", "secret"), "user nobody may not (run|read) /"),
    ],
)
def test_unknown_user_or_group_is_refused_in_one_line(shared_dir, arguments, said):
    (shared_dir / "secret").mkdir(mode=0o700)
    with Served(shared_dir, "main:app", "--uds", "corn.sock", "--pid", "corn.pid", *arguments) as served:
        assert served.wait_exit() == 2
        assert re.search(said, served.output)
        assert served.output.count("\n") == 0
    assert {each.name for each in shared_dir.iterdir()} == {"main.py", "secret"}


@rooted
def test_setuid_failure_exits_2_with_one_line(shared_dir):
    as_nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=+dac_read_search"]
    program = [*as_nobody, "--ambient-caps=+dac_read_search", *COMMAND]
    with Served(shared_dir, "main:app", "--port", "0", "--user", "root", program=program) as served:
        assert served.wait_exit() == 2
        said = "corn: cannot become user root: Operation not permitted; start as root, or leave out --user and --group"
        assert served.output == said


def test_upgrade_keeps_pidfile_directory_and_daemon(background, app_dir):
    (app_dir / "inner").mkdir()
    write_app(app_dir / "inner", "one")
    assert background("main:app", "--chdir", "inner").returncode == 0
    pidfile = app_dir / "corn.pid"
    old = psutil.Process(int(pidfile.read_text()))
    old.send_signal(signal.SIGUSR2)
    wait_until(lambda: has_ended(old), "the end of the old master")
    new = psutil.Process(int(pidfile.read_text()))
    assert new.pid != old.pid
    assert (new.name(), new.cwd()) == ("corn master", str(app_dir / "inner"))
    assert Client(f"unix:{app_dir}/corn.sock").get().startswith("one ")


@rooted
def test_upgrade_as_user_keeps_pidfile_of_root(shared_dir):
    arguments = ("main:app", "--uds", "corn.sock", "--user", "nobody", "--pid", "corn.pid")
    with Served(shared_dir, *arguments, program=[*READER, *COMMAND]).wait_ready() as served:
        served.signal(signal.SIGUSR2)
        assert served.process.wait(DEADLINE) == 0
        new = psutil.Process(int((shared_dir / "corn.pid").read_text()))
        assert new.pid != served.pid
        assert Client(f"unix:{shared_dir}/corn.sock").get().startswith("one ")
        new.terminate()
        wait_until(lambda: not new.is_running(), "the end of the new master")
    assert (shared_dir / "corn.pid").read_text() == ""
