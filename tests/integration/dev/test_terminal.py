"""corn dev in a terminal: as a job of a shell, and when the terminal is closed."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
import threading

import psutil
import pytest

from tests.support.dev_project import save, source
from tests.support.shell import has_ended, wait_until


def cpu(process):
    """Processor time of a process and its descendants, by process id."""
    times = {}
    for each in (process, *process.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            times[each.pid] = sum(each.cpu_times()[:2])
    return times


def rests(process):
    """Whether a process and its descendants, without those that exit meanwhile, hardly compute for a second."""
    before = cpu(process)
    threading.Event().wait(1.0)
    return sum(seconds - before.get(pid, 0.0) for pid, seconds in cpu(process).items()) < 0.5


def names(process):
    """Names of the descendants of a process."""
    found = []
    for each in process.children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            found.append(each.name())
    return found


def refuses(shell):
    """Whether nothing listens at the address any more."""
    try:
        shell.client().connect().close()
    except ConnectionRefusedError:
        return True
    return False


def test_background_job_with_tostop_serves_without_spinning(project, shell):
    shell.run("stty tostop")
    shell.develop(ending="&")
    save(project / "main.py", source("two"))
    wait_until(lambda: shell.answers("two"), "the new code is served")
    shell.wait_for("reloaded in")
    wait_until(lambda: rests(shell.master), "it rests")
    workers = lambda: [each for each in names(shell.master) if each.startswith("corn worker")]  # noqa: E731
    wait_until(lambda: len(workers()) == 1, "one worker is left")
    shell.run("kill %1")
    wait_until(lambda: has_ended(shell.master), "it ends")
    shell.run("")
    shell.wait_for(r"\[\d\].*(Done|Terminated)")
    assert "Traceback" not in shell.output


def test_lines_in_narrow_terminal_have_no_date_and_no_process(project, shell):
    shell.run("stty cols 100")
    shell.develop("--access-log", ending="&")
    shell.wait_for(r"\d\d:\d\d:\d\d\.\d{3}\x1b\[0m \x1b\[32mINFO   \x1b\[0m \x1b\[2mmaster\x1b\[0m corn .* serves")
    wait_until(lambda: shell.answers("one"), "it serves")
    shell.wait_for(r'\d\d:\d\d:\d\d\.\d{3}\x1b\[0m \x1b\[32mINFO   \x1b\[0m 127.0.0.1:\d+ "GET / HTTP/1.1"')
    assert not re.search(r"\d{4}-\d\d-\d\d", shell.output)
    shell.run("kill %1")
    wait_until(lambda: has_ended(shell.master), "it ends")


def test_suspended_job_continues_in_background_and_foreground(project, shell):
    shell.develop()
    shell.type("\x1a")
    shell.wait_for("Stopped")
    shell.run("bg")
    save(project / "main.py", source("two"))
    wait_until(lambda: shell.answers("two"), "the new code is served")
    shell.run("fg")
    wait_until(lambda: os.tcgetpgrp(shell.fd) == os.getpgid(shell.master.pid), "it is in the foreground")
    save(project / "main.py", source("six"))
    wait_until(lambda: shell.answers("six"), "the new code is served")
    shell.type("\x03")
    wait_until(lambda: not shell.master.is_running(), "it ends")
    assert "Traceback" not in shell.output


@pytest.mark.parametrize("ending", ["", "&"], ids=["foreground", "background"])
def test_closed_terminal_exits_corn_dev_and_frees_port(shell, ending):
    shell.develop(ending=ending)
    family = [shell.master, *shell.master.children(recursive=True)]
    shell.close()
    wait_until(lambda: all(map(has_ended, family)), f"all processes end: {family}")
    wait_until(lambda: refuses(shell), "the port is free")  # also a process that was started last may hold it


def test_shell_exit_with_huponexit_exits_background_job(shell):
    shell.develop(ending="&")
    master = shell.master
    shell.run("shopt -s huponexit; exit; exit")
    wait_until(lambda: has_ended(psutil.Process(shell.pid)), "the shell is left")
    shell.close()
    wait_until(lambda: has_ended(master), "it ends")


def test_nohup_job_survives_closed_terminal(shell, project):
    shell.run(f"nohup {sys.executable} -m corn dev main:app --port 0 > log.txt 2>&1 &")
    log = project / "log.txt"
    wait_until(lambda: log.exists() and "serves main:app" in log.read_text(), "it serves")
    shell.address = re.search(r"at (http://\S+)", log.read_text())[1]
    shell.close()
    threading.Event().wait(1.0)
    assert shell.answers("one")
    save(project / "main.py", source("two"))
    wait_until(lambda: shell.answers("two"), "the new code is served")
    os.kill(int(re.search(r"master \[(\d+)\]", log.read_text())[1]), signal.SIGTERM)


def test_sighup_from_other_process_reloads(shell):
    shell.develop()
    shell.master.send_signal(signal.SIGHUP)
    shell.wait_for("reloaded in")
    assert shell.answers("one")
