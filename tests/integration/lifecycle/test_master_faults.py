"""Faults that must not end the master: lost directories, descriptors and files, and malformed messages."""

import os
import resource
import signal
import sys

import pytest

from tests.support.corn_process import Served, write_app
from tests.support.free_ports import free_port
from tests.support.http_client import Client

# Root without CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH.
BOUND = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", sys.executable, "-m", "corn", "serve"]
SENDS_GARBAGE = """
import socket
serves = app

async def app(scope, receive, send):
    if scope["path"] == "/garbage":
        for fd in range(3, 256):
            try:
                sock = socket.socket(fileno=os.dup(fd))
            except OSError:
                continue
            if sock.family == socket.AF_UNIX and sock.type == socket.SOCK_STREAM:
                try:
                    sock.send(b"hello, world\\n")
                except OSError:
                    pass
            sock.close()
    await serves(scope, receive, send)
"""


@pytest.fixture
def app_dir(tmp_path):
    (tmp_path / "work").mkdir()
    write_app(tmp_path / "work", "one")
    return tmp_path / "work"


def refused_reload(served, why):
    mark = served.mark()
    served.signal(signal.SIGHUP)
    served.wait_for(f"reload refused, nothing was changed: .*{why}", since=mark)
    assert served.client().get().startswith("one ")
    assert "Traceback" not in served.output


def stops_in_order(served):
    served.signal(signal.SIGTERM)
    assert served.wait_exit() == 0
    assert served.leftovers() == []


def test_reload_in_removed_directory_is_refused(app_dir):
    with Served(app_dir, "main:app", "--port", "0").wait_ready() as served:
        app_dir.rename(app_dir.with_name("elsewhere"))
        refused_reload(served, "cannot be entered: No such file")
        app_dir.with_name("elsewhere").rename(app_dir)
        write_app(app_dir, "two")
        served.signal(signal.SIGHUP)
        served.wait_for("reloaded: generation")
        assert served.client().get().startswith("two ")
        stops_in_order(served)


def test_reload_in_unreadable_directory_is_refused(app_dir):
    with Served(app_dir, "main:app", "--port", "0", "--soak", "0", program=BOUND).wait_ready() as served:
        app_dir.chmod(0)
        refused_reload(served, "Permission denied")
        app_dir.chmod(0o700)
        served.signal(signal.SIGHUP)
        served.wait_for("reloaded: generation")
        stops_in_order(served)


@pytest.fixture(scope="module")
def bound(tmp_path_factory):
    """Instance for the tests that only have reloads refused; it must stop in order after them."""
    directory = tmp_path_factory.mktemp("bound")
    write_app(directory, "one")
    (directory / "closed").mkdir()
    with Served(directory, "main:app", "--port", "0", program=BOUND).wait_ready() as served:
        yield served
        stops_in_order(served)


@pytest.mark.parametrize(
    "option",
    ["env_file = ['{}/f']", "hooks = '{}/f'", "app_dir = '{}/f'", "log_config = '{}/f'", "static = ['/s={}/f']"],
)
def test_reload_with_unsearchable_path_option_is_refused(bound, option):
    closed = bound.directory / "closed"
    (bound.directory / "corn.toml").write_text(option.format(closed) + "\n")
    closed.chmod(0)
    refused_reload(bound, f"{closed}.*cannot be accessed: Permission denied")
    closed.chmod(0o700)


def test_reload_without_free_descriptors_is_refused(app_dir):
    (app_dir / "corn.toml").write_text("soak = 0\n")
    with Served(app_dir, "main:app", "--port", "0").wait_ready() as served:
        soft, hard = resource.prlimit(served.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(served.pid, resource.RLIMIT_NOFILE, (3, hard))
        refused_reload(served, "Too many open files")
        for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGTTIN):
            served.signal(number)
        served.wait_for("scaling from 1 to 2")
        served.wait_for("upgrade failed")
        resource.prlimit(served.pid, resource.RLIMIT_NOFILE, (soft, hard))
        served.wait_until(lambda: len(served.workers()) == 2, "two workers")
        stops_in_order(served)


def test_malformed_channel_message_replaces_worker(app_dir):
    write_app(app_dir, "one", more=SENDS_GARBAGE)
    with Served(app_dir, "main:app", "--port", "0", "--workers", "2").wait_ready() as served:
        before = {each.pid for each in served.workers()}
        guilty = int(served.client().get("/garbage").split()[1])
        served.wait_for("sent invalid data on its channel to the master: b'hello, world'")
        served.wait_until(lambda: guilty not in {each.pid for each in served.workers()}, "the worker was replaced")
        served.wait_until(lambda: len(served.workers()) == 2, "two workers")
        assert before - {guilty} <= {each.pid for each in served.workers()}
        assert "crashed" not in served.output
        stops_in_order(served)


def test_log_reopen_failure_keeps_old_log_file(app_dir):
    logs = app_dir / "logs"
    logs.mkdir()
    options = ("--workers", "2", "--log-file", "logs/corn.log", "--access-log-file", "logs/access.log")
    with Served(app_dir, "main:app", "--port", "0", *options, program=BOUND) as served:
        served.wait_until(lambda: "serves main:app" in read(logs / "corn.log"), "ready")
        for each in logs.iterdir():
            each.rename(each.with_suffix(".1"))
        logs.chmod(0o500)
        served.signal(signal.SIGUSR1)
        served.signal(signal.SIGTERM)
        assert served.wait_exit() == 0
        said = read(logs / "corn.1")
        assert "cannot reopen the log, which continues in the old file: --log-file: cannot open" in said
        assert "Traceback" not in said
        assert served.leftovers() == []


def read(path):
    return path.read_text() if path.exists() else ""


@pytest.mark.parametrize(
    "options",
    [
        ("--env-file", "closed/f"),
        ("--app-dir", "closed/f"),
        ("--chdir", "closed/f"),
        ("--hooks", "closed/f"),
        ("--log-config", "closed/f"),
        ("--static", "/s=closed/f"),
        ("--pid", "closed/f"),
        ("--log-file", "closed/f"),
        ("--access-log-file", "closed/f"),
        ("--control", "closed/f"),
        ("--config", "closed/f"),
        ("--ssl-certfile", "closed/f"),
    ],
)
def test_start_with_unsearchable_path_exits_2_with_one_line(app_dir, options):
    (app_dir / "closed").mkdir(mode=0)
    with Served(app_dir, "main:app", "--port", "0", *options, program=BOUND) as served:
        assert served.wait_exit() == 2
        (line,) = served.output.splitlines()
        assert "Permission denied" in line or "cannot write to" in line
    (app_dir / "closed").chmod(0o700)


@pytest.mark.parametrize("options", [("--uds", "closed/f"), ("--port", "0", "--admin", "unix:closed/f")])
def test_start_with_unusable_socket_exits_4_with_one_line(app_dir, options):
    (app_dir / "closed").mkdir(mode=0)
    with Served(app_dir, "main:app", *options, program=BOUND) as served:
        assert served.wait_exit() == 4
        (line,) = served.output.splitlines()
        assert "Permission denied" in line
    (app_dir / "closed").chmod(0o700)


@pytest.mark.parametrize("limit", [5, 8, 10, 12])
def test_start_without_enough_descriptors_exits_2_with_one_line(app_dir, limit):
    program = ["prlimit", f"--nofile={limit}:{limit}", sys.executable, "-m", "corn", "serve"]
    control = {"CORN_CONTROL": str(app_dir / "control.sock")}
    with Served(app_dir, "main:app", "--port", "0", program=program, **control) as served:
        assert served.wait_exit() == 2
        (line,) = served.output.splitlines()
        assert "Too many open files; raise the limit" in line


@pytest.mark.parametrize("command", [["serve", "main:app"], ["config"], ["dev", "main:app"]])
def test_start_in_removed_directory_exits_2_with_one_line(app_dir, command):
    gone = app_dir / "gone"
    gone.mkdir()
    script = f"rmdir {gone}; exec {sys.executable} -m corn {' '.join(command)}"
    with Served(gone, script, program=["/bin/sh", "-c"], PWD="") as served:
        assert served.wait_exit() == 2
        assert served.output == (
            "corn: the working directory cannot be found: No such file or directory; change to one that exists"
        )


@pytest.mark.parametrize("order", [1, -1])
def test_wildcard_addresses_of_both_families_share_one_port(app_dir, order):
    port = free_port()
    binds = [f"0.0.0.0:{port}", f"[::]:{port}"][::order]
    with Served(app_dir, "main:app", "-b", binds[0], "-b", binds[1]) as served:
        served.wait_for("serves main:app")
        for host in ("127.0.0.1", "[::1]"):
            assert Client(f"http://{host}:{port}").get().startswith("one ")
        stops_in_order(served)


def test_abstract_socket_serves_and_second_bind_exits_4(app_dir):
    name = f"corn-test-{os.getpid()}"
    with Served(app_dir, "main:app", "--bind", f"unix:@{name}").wait_ready() as served:
        assert served.address == f"unix:@{name}"
        assert Client(f"unix:\0{name}").get().startswith("one ")
        assert list(app_dir.glob("*corn-test*")) == []
        with Served(app_dir, "main:app", "--bind", f"unix:@{name}") as second:
            assert second.wait_exit() == 4
            assert f"cannot listen on unix:@{name}: it is already in use" in second.output
        stops_in_order(served)


def test_environment_overrides_env_file(app_dir):
    (app_dir / ".env").write_text("DATABASE_URL=from-file\nOTHER=${DATABASE_URL}-and-${HOST:-nobody}\n")
    answer = "\nVERSION = os.environ['DATABASE_URL'] + ',' + os.environ['OTHER']\n"
    write_app(app_dir, "one", more=answer)
    options = ("--port", "0", "--env-file", ".env")
    with Served(app_dir, "main:app", *options, DATABASE_URL="production").wait_ready() as served:
        assert served.client().get().split()[0] == "production,production-and-nobody"
