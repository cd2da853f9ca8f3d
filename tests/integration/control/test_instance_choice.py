"""Instance selection of commands without an instance option, by the current directory."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.support.control_cli import COMMAND, Commanded, command
from tests.support.corn_process import DEADLINE, write_app
from tests.support.environment import clean_environment

CHECKOUT = str(Path(__file__).parents[3])
QUICK = ("--port", "0", "--no-access-log", "--soak", "0", "--timeout-graceful-shutdown", "5")
CHANGES = [
    ["stop"],
    ["reload"],
    ["scale", "2"],
    ["restart", "0"],
    ["drain", "0"],
    ["rollback"],
    ["upgrade"],
    ["log-level", "debug"],
]


@pytest.fixture
def sockets(tmp_path):
    return tmp_path / "sockets"


@pytest.fixture
def shop(tmp_path):
    directory = tmp_path / "shop"
    directory.mkdir()
    write_app(directory, "shop")
    return directory


@pytest.fixture
def served(shop, sockets):
    with Commanded(shop, "main:app", *QUICK, sockets=sockets).wait_ready() as served:
        yield served


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory):
    """Instance for the tests that do not change it."""
    directory = tmp_path_factory.mktemp("shop")
    write_app(directory, "shop")
    with Commanded(directory, "main:app", *QUICK, sockets=tmp_path_factory.mktemp("s")).wait_ready() as served:
        yield served


def test_change_from_other_directory_is_refused(unchanged):
    for arguments in CHANGES:
        done = command(unchanged.sockets, *arguments)
        assert (done.returncode, done.stdout) == (2, ""), arguments
        assert done.stderr == (
            f"corn: no instance was started from this directory; select one, as with --pid {unchanged.pid}:\n"
            f"  pid {unchanged.pid}: main:app at {unchanged.address}, started from {unchanged.directory}\n"
        )
    assert unchanged.status()["phase"] == "serving"
    assert unchanged.status()["generation"] == 1


def test_command_from_removed_directory_selects_by_option_only(unchanged, tmp_path):
    for arguments in (*CHANGES, ["status"], ["stacks"]):
        gone = tmp_path / "gone"
        gone.mkdir()
        program = ["/bin/sh", "-c", 'rmdir ../gone; exec "$0" "$@"', *COMMAND, *arguments]
        environment = clean_environment(CORN_CONTROL=str(unchanged.sockets), PYTHONPATH=CHECKOUT)
        done = subprocess.run(
            program, env=environment, cwd=gone, capture_output=True, text=True, timeout=DEADLINE, check=False
        )
        changes = arguments in CHANGES
        assert done.returncode == (2 if changes else 0), done.stderr
        assert done.stderr.startswith("corn: no instance was started from this directory" if changes else "")
        assert "Traceback" not in done.stderr


def test_change_from_instance_directory_acts_and_names_instance(served, shop, sockets):
    done = command(sockets, "scale", "2", "--wait", cwd=shop)
    assert done.returncode == 0, done.stderr
    assert done.stderr == f"pid {served.pid}: main:app at {served.address}\n"
    done = command(sockets, "reload", "--wait", "--json", cwd=shop)
    assert json.loads(done.stdout)["instance"] == {
        "pid": served.pid,
        "app": "main:app",
        "addresses": [served.address],
    }
    link = sockets / "link"
    link.symlink_to(shop)
    assert command(sockets, "stop", "--wait", cwd=link).stdout == "stopped\n"
    served.process.wait(DEADLINE)


def test_change_from_other_directory_acts_on_named_instance(shop, sockets):
    with Commanded(shop, "main:app", *QUICK, "--pid", str(shop / "pid"), sockets=sockets).wait_ready() as served:
        (socket,) = sockets.glob("*.sock")
        for level, *naming in (
            ("debug", "--pid", str(served.pid)),
            ("warning", "--pid", str(shop / "pid")),
            ("error", "--bind", served.address.rpartition(":")[2]),
            ("info", "--control", str(socket)),
        ):
            done = command(sockets, "log-level", level, *naming)
            assert done.returncode == 0, done.stderr
            assert command(sockets, "log-level").stdout == f"log level {level}\n"


def test_directory_of_config_or_pidfile_selects_instance(tmp_path, shop, sockets):
    etc, run = tmp_path / "etc", tmp_path / "run"
    for directory in (etc, run):
        directory.mkdir()
    (etc / "corn.toml").write_text(f'pid = "{run}/corn.pid"')
    files = ("--config", str(etc / "corn.toml"))
    with Commanded(shop, "main:app", *QUICK, *files, sockets=sockets).wait_ready():
        for directory in (etc, run, shop):
            assert command(sockets, "log-level", "debug", cwd=directory).returncode == 0
        assert command(sockets, "log-level", "debug", cwd=tmp_path).returncode == 2


def test_start_directory_selects_instance_despite_chdir(tmp_path, shop, sockets):
    with Commanded(tmp_path, "main:app", "--chdir", "shop", *QUICK, sockets=sockets).wait_ready():
        assert command(sockets, "log-level", "debug", cwd=tmp_path).returncode == 0


def test_command_among_several_instances_uses_current_directory(tmp_path, served, shop, sockets):
    other = tmp_path / "other"
    other.mkdir()
    write_app(other, "other")
    with Commanded(other, "main:app", *QUICK, sockets=sockets).wait_ready() as second:
        assert f"master {second.pid}" in command(sockets, "status", cwd=other).stdout
        assert command(sockets, "stop", "--wait", cwd=other).stdout == "stopped\n"
        assert served.status()["phase"] == "serving"


def test_read_only_command_uses_sole_instance(unchanged):
    done = command(unchanged.sockets, "requests")
    assert (done.returncode, done.stderr) == (0, f"pid {unchanged.pid}: main:app at {unchanged.address}\n")
    assert command(unchanged.sockets, "log-level").stdout == "log level info\n"


def test_upgraded_instance_keeps_its_directory(served, shop, sockets):
    done = command(sockets, "upgrade", "--wait", cwd=shop)
    assert done.returncode == 0, done.stderr
    pid = json.loads(command(sockets, "status", "--json", cwd=shop).stdout)["pid"]
    try:
        done = command(sockets, "log-level", "debug", cwd=shop)
        assert done.returncode == 0, done.stderr
    finally:
        os.kill(pid, signal.SIGTERM)
