"""Start of `corn serve`: configuration checks and start failures. Serving is tested in tests/integration."""

import os
import signal
import socket
import subprocess
import threading
import time

import pytest

from tests.cli.conftest import COMMAND, DEADLINE
from tests.support.environment import clean_environment
from tests.support.packages import break_package

GOOD = "async def app(scope, receive, send): ..."


@pytest.fixture
def main_module(tmp_path):
    """Write the user's main.py."""
    return (tmp_path / "main.py").write_text


CHECKS = [["serve", "--check-config"], ["config", "--check"]]


@pytest.mark.parametrize("check", CHECKS, ids=" ".join)
def test_config_check_passes(corn, main_module, check):
    main_module(GOOD)
    done = corn(*check, "main:app")
    assert (done.stdout, done.stderr) == ("The configuration is valid, and main:app loads.\n", "")
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("module", "application", "code", "line"),
    [
        (GOOD, "other:app", 2, "no module named 'other'"),
        (GOOD, "main:nope", 2, "module 'main' has no 'nope'"),
        ("app = 5", "main:app", 2, "main:app is not an application"),
        ("1 / 0", "main:app", 3, "main could not be imported: ZeroDivisionError: division by zero"),
        ("app = ", "main:app", 3, "main could not be imported: SyntaxError: "),
        ("import missing_one", "main:app", 3, "main could not be imported: ModuleNotFoundError: "),
        ("import sys; sys.exit(7)", "main:app", 3, "main could not be imported: it called sys.exit(7)"),
    ],
)
def test_config_check_failure_is_one_line_with_exit_code(corn, main_module, module, application, code, line):
    main_module(module)
    done = corn("serve", "--check-config", application)
    assert done.stderr.startswith(f"corn: {line}")
    assert (done.returncode, done.stdout) == (code, "")


def test_application_exception_shows_user_frames_only(corn, main_module, tmp_path):
    main_module("def start():\n    return 1 / 0\n\nstart()\n")
    done = corn("config", "main:app", "--check")
    assert (done.returncode, done.stdout) == (3, "")
    assert f'File "{tmp_path / "main.py"}", line 2, in start' in done.stderr
    assert "/corn/" not in done.stderr
    assert "importlib" not in done.stderr


def test_config_check_opens_no_socket(corn, main_module):
    main_module(GOOD)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert corn("serve", "main:app", "--port", str(taken.getsockname()[1]), "--check-config").returncode == 0


def test_port_in_use_exits_4(corn, main_module):
    main_module(GOOD)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = corn("serve", "main:app", "--port", str(port))
    assert done.returncode == 4
    assert done.stderr.startswith("corn: ")
    assert f"127.0.0.1:{port}" in done.stderr
    assert done.stderr.count("\n") <= 2


@pytest.mark.parametrize(
    ("option", "value", "rest"),
    [
        ("log_file", "none/corn.log", "cannot open '{}/none/corn.log': No such file or directory"),
        ("ssl_certfile", "none.pem", "cannot read 'none.pem': No such file or directory"),
        ("user", "nobodyx", "there is no user 'nobodyx'"),
        ("pid", "none/corn.pid", "cannot write to {}/none"),
        ("statsd", "host.invalid:8125", "the host 'host.invalid' is not known"),
    ],
)
def test_start_failure_names_option_by_its_source(corn, main_module, tmp_path, option, value, rest):
    main_module(GOOD)
    rest = rest.format(tmp_path)
    flag, variable = f"--{option.replace('_', '-')}", f"CORN_{option.upper()}"
    start = ("serve", "main:app", "--port", "0")
    assert corn(*start, flag, value).stderr.startswith(f"corn: {flag}: {rest}")
    assert corn(*start, **{variable: value}).stderr.startswith(f"corn: {variable}: {rest}")
    (tmp_path / "corn.toml").write_text(f"{option} = '{value}'")
    done = corn(*start)
    assert done.stderr.startswith(f"corn: corn.toml: {option}: {rest}")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)


def test_failure_of_worker_names_option_by_its_source(corn, main_module, tmp_path):
    main_module(GOOD)
    (tmp_path / "corn.toml").write_text("access_log_file = 'none/access.log'")
    done = corn("serve", "main:app", "--port", "0")
    assert "could not start: corn.toml: access_log_file: cannot open 'none/access.log'" in done.stderr
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)


@pytest.mark.parametrize(
    ("package", "command", "needed_by", "alternative"),
    [
        ("uvloop", "serve main:app --port 0", "--loop uvloop", ", or use --loop asyncio"),
        ("uvloop", "serve main:app --port 0 --loop uvloop", "--loop uvloop", ", or use --loop asyncio"),
        ("hpack", "serve main:app --port 0", "--http auto", ", or use --http 1"),
        ("hpack", "serve main:app --port 0 --http 2", "--http 2", ", or use --http 1"),
        ("trustme", "dev main:app --port 0 --tls", "--tls", ""),
        ("rich", "top", "corn top", ""),
    ],
)
def test_package_that_cannot_be_imported_exits_2(corn, main_module, tmp_path, package, command, needed_by, alternative):
    main_module(GOOD)
    path = break_package(tmp_path, package)
    done = corn(*command.split(), PYTHONPATH=path, XDG_DATA_HOME=str(tmp_path / "data"))
    said = f"{needed_by} cannot import {package}: undefined symbol: PyX; reinstall it{alternative}"
    assert done.stderr.endswith(f": {said}\n")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)


def test_application_load_failure_exits_3(corn, main_module, tmp_path):
    main_module("1 / 0")
    done = corn("serve", "main:app", "--port", "0")
    assert done.returncode == 3
    assert "ZeroDivisionError: division by zero" in done.stderr
    assert str(tmp_path / "main.py") in done.stderr


def test_sigint_during_load_exits_130_silently(main_module, tmp_path):
    main_module("import pathlib, time\npathlib.Path('loading').touch()\ntime.sleep(600)")
    with subprocess.Popen(
        [*COMMAND, "config", "main:app", "--check"],
        cwd=tmp_path,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as process:
        wait_for_file(tmp_path / "loading")
        os.killpg(process.pid, signal.SIGINT)
        shown, _ = process.communicate(timeout=DEADLINE)
    assert (process.returncode, shown.strip()) == (130, b"")


def wait_for_file(path):
    deadline, pause = time.monotonic() + DEADLINE, threading.Event()
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} did not appear in {DEADLINE} s"
        pause.wait(0.01)
