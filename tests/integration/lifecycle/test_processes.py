"""Processes of a service: titles, limits, number, parents, and the master as PID 1."""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.support.corn_process import Served, write_app
from tests.support.http_client import Client

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has it")


@pytest.fixture
def app_dir(tmp_path):
    write_app(tmp_path, "one")
    return tmp_path


@linux
def test_process_titles_hold_role_slot_and_generation(app_dir):
    with Served(app_dir, "main:app", "--port", "0", "--soak", "0", "--workers", "2").wait_ready() as served:
        assert psutil.Process(served.pid).name() == "corn master"
        assert titles(served.templates()) == ["corn: template g1 main:app"]
        assert titles(served.workers()) == ["corn: worker 0 g1 main:app", "corn: worker 1 g1 main:app"]
        served.signal(signal.SIGHUP)
        served.wait_for("reloaded: generation 2 serves")
        served.wait_until(lambda: len(served.workers()) == 2, "the old workers gone")
        assert titles(served.workers()) == ["corn: worker 0 g2 main:app", "corn: worker 1 g2 main:app"]
        assert served.workers()[0].environ()["PYTHONDONTWRITEBYTECODE"] == "1"


@linux
def test_process_name_is_in_titles_and_command_names_of_all_processes(app_dir):
    (app_dir / "hooks.py").write_text("def when_ready(service): print('the hooks process is there')\n")
    options = ("--process-name", "recommendations", "--admin", "0", "--hooks", "hooks.py", "--pid", "corn.pid")
    with Served(app_dir, "main:app", "--port", "0", *options).wait_ready() as served:
        served.wait_for("the hooks process is there")
        served.wait_until(lambda: served.named("recommend admin"), "the admin process has its name")
        found = [psutil.Process(served.pid), *psutil.Process(served.pid).children()]
        assert titles(found) == [
            "recommendations: admin 127.0.0.1:0",
            "recommendations: hooks hooks.py",
            "recommendations: master main:app",
            "recommendations: template g1 main:app",
            "recommendations: worker 0 g1 main:app",
        ]
        names = sorted(Path(f"/proc/{each.pid}/comm").read_text().rstrip() for each in found)
        roles = ("recommend admin", "recommend hooks", "recommen master", "recomm template", "recomm worker 0")
        assert names == sorted(roles)
        with Served(app_dir, "main:app", "--port", "0", "--pid", "corn.pid") as second:
            assert second.wait_exit() == 2
            assert f"corn is already running as process {served.pid}" in second.output
        port = served.address.rpartition(":")[2]
        with Served(app_dir, "main:app", "--port", port) as third:
            assert third.wait_exit() == 4
            assert f"by recommen master, pid {served.pid} (stop it with 'corn stop --pid {served.pid}')" in third.output


@pytest.mark.parametrize("name", ["", "a b", "a/b", "-x", "x" * 33])
def test_wrong_process_name_is_refused_in_one_line(app_dir, name):
    with Served(app_dir, "main:app", "--port", "0", f"--process-name={name}") as served:
        assert served.wait_exit() == 2
        assert re.fullmatch("corn: --process-name: .* is wrong; expected a name of at most 32 .*", served.output)


def titles(processes):
    shown = subprocess.run(
        ["ps", "-o", "args=", "-p", ",".join(str(each.pid) for each in processes)],
        capture_output=True,
        text=True,
        check=True,
    )
    return sorted(line.rstrip() for line in shown.stdout.splitlines())


@linux
def test_process_title_fits_command_line_and_keeps_environment():
    program = (
        "import os, sys; from pathlib import Path; from corn.system.process import show_title; "
        "before = len(Path('/proc/self/cmdline').read_bytes()); assert show_title('x' * 100000); "
        "shown = Path('/proc/self/cmdline').read_bytes(); assert shown == b'x' * (before - 1) + b'\\0', shown; "
        "assert show_title('short'); assert Path('/proc/self/cmdline').read_bytes().rstrip(b'\\0') == b'short'; "
        "assert b'MARK=whole' in Path('/proc/self/environ').read_bytes()"
    )
    subprocess.run([sys.executable, "-c", program], env={"MARK": "whole"}, check=True)


def test_workers_auto_logs_number_and_reason(app_dir):
    with Served(app_dir, "main:app", "--port", "0", "--workers", "auto").wait_ready() as served:
        found = served.wait_for(r"\((\d+) workers? by (\d+ CPUs?|CPU quota \S+|memory \d+ MiB), preload")
        assert len(served.workers()) == int(found[1])


@linux
def test_workers_auto_respects_cpu_affinity(app_dir):
    program = ["taskset", "-c", "0", sys.executable, "-m", "corn", "serve"]
    with Served(app_dir, "main:app", "--port", "0", "-w", "auto", program=program).wait_ready() as served:
        served.wait_for(r"\(1 worker by 1 CPU, preload")


@linux
def test_descriptor_limit_is_raised_for_all_processes(app_dir):
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    program = ["prlimit", f"--nofile=256:{hard}", sys.executable, "-m", "corn", "serve", "--log-level", "debug"]
    with Served(app_dir, "main:app", "--port", "0", program=program).wait_ready() as served:
        served.wait_for(r"raised the limit of open files from 256 to \d+")
        for process in (psutil.Process(served.pid), *served.templates(), *served.workers()):
            assert process.rlimit(psutil.RLIMIT_NOFILE) == (min(hard, 65536), hard)


def test_application_with_open_files_beyond_select_is_served(app_dir):
    write_app(app_dir, "one", more='opened = [open("/dev/null") for _ in range(1100)]')
    with Served(app_dir, "main:app", "--port", "0", "--preload", "app").wait_ready() as served:
        served.workers()[0].kill()
        served.wait_for("crashed: killed by SIGKILL")
        assert served.client().get().startswith("one ")


@linux
def test_workers_receive_sigterm_when_master_dies(app_dir):
    """PR_GET_PDEATHSIG: the worker exits even if its channel outlives the master."""
    write_app(app_dir, "one", more=PDEATHSIG)
    with Served(app_dir, "main:tied", "--port", "0", "--lifespan", "off").wait_ready() as served:
        assert served.client().get() == str(int(signal.SIGTERM))


PDEATHSIG = """
import ctypes

async def tied(scope, receive, send):
    number = ctypes.c_int()
    ctypes.CDLL(None).prctl(2, ctypes.byref(number), 0, 0, 0)
    body = str(number.value).encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
"""


ORPHANS = """
import subprocess, sys

# Each starts a process and ends, so that another process has to reap the one that is left.
for _ in range(5):
    subprocess.run([sys.executable, "-c", "import subprocess; subprocess.Popen(['sleep', '0.2'])"])
"""


@linux
def test_orphaned_processes_of_import_are_reaped(app_dir):
    write_app(app_dir, "one", more=ORPHANS)
    arguments = ("--port", "0", "--preload", "none", "--log-level", "debug")
    with Served(app_dir, "main:app", *arguments).wait_ready() as served:
        for _ in range(5):
            served.wait_for(r"unknown child process \d+ exited with code 0")
        served.wait_until(lambda: not served.zombies(), "no zombie")
        assert served.client().get().startswith("one ")


def _unshares():
    command = ["unshare", "--pid", "--fork", "--mount-proc", "true"]
    try:
        return subprocess.run(command, capture_output=True, check=False, timeout=40).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


@linux
@pytest.mark.skipif(not _unshares(), reason="no process namespace can be made here")
def test_master_as_pid_1_answers_signals_and_reaps(app_dir):
    write_app(app_dir, "one", more=ORPHANS)
    program = ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-m", "corn", "serve"]
    with Served(
        app_dir, "main:app", "--port", "0", "--soak", "0", "--preload", "none", program=program
    ).wait_ready() as served:
        served.wait_for(r"master \[1\] corn")
        (master,) = [each for each in psutil.Process(served.pid).children() if served.name(each) == "corn master"]
        assert served.client().get().startswith("one ")
        served.wait_until(lambda: not served.zombies(), "no zombie")
        write_app(app_dir, "two")
        master.send_signal(signal.SIGHUP)
        served.wait_for("reloaded: generation 2 serves")
        served.wait_until(lambda: served.client().get().startswith("two "), "the new code")
        master.send_signal(signal.SIGUSR2)
        served.wait_for("process 1 of a container cannot be replaced")
        master.send_signal(signal.SIGTERM)
        assert served.wait_exit() == 0
        assert served.leftovers() == []


IGNORING = ["sh", "-c", 'trap "" HUP INT QUIT; exec "$@"', "sh", sys.executable, "-m", "corn", "serve"]
DISPOSITIONS = """
import signal, subprocess, sys

SHOW = "import signal; print(*(signal.getsignal(each) is signal.SIG_IGN for each in (1, 2, 3)))"
print("child ignores:", subprocess.check_output([sys.executable, "-c", SHOW], text=True), flush=True)
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGQUIT"])
def test_signals_ignored_at_start_are_handled(app_dir, name):
    """Shells ignore INT and QUIT for `&` in a script, and nohup ignores HUP."""
    write_app(app_dir, "one", more=DISPOSITIONS)
    with Served(app_dir, "main:app", "--port", "0", "--soak", "0", program=IGNORING).wait_ready() as served:
        served.wait_for("child ignores: False False False")
        served.signal(signal.SIGHUP)
        served.wait_for("reloaded: generation 2 serves")
        served.signal(signal.Signals[name])
        served.wait_for(f"{name}: stopping")
        assert served.wait_exit() == 0


@linux
def test_closed_standard_streams_are_not_replaced_by_sockets(app_dir):
    write_app(app_dir, "one")
    sock = app_dir / "corn.sock"
    run = f"exec {sys.executable} -m corn serve main:app --uds {sock} --pid corn.pid --soak 0 <&- >&- 2>&-"
    with Served(app_dir, "-c", run, program=["sh"]) as served:
        served.wait_until((app_dir / "corn.pid").exists, "the pidfile of a service that is ready")
        client = Client(f"unix:{sock}")
        assert client.get().startswith("one ")
        for process in (psutil.Process(served.pid), *served.workers()):
            streams = [os.readlink(f"/proc/{process.pid}/fd/{fd}") for fd in range(3)]
            assert streams == ["/dev/null"] * 3
        write_app(app_dir, "two")
        served.signal(signal.SIGHUP)
        served.wait_until(lambda: client.get().startswith("two "), "the new code")
        served.signal(signal.SIGTERM)
        assert served.wait_exit() == 0
