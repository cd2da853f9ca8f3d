"""Double fork of a template."""

from __future__ import annotations

import contextlib
import os
import time

import psutil

from corn.worker.forking import fork


def test_intermediate_process_of_lost_template_exits():
    """Its report fails with EPIPE; if it returned, it would continue as the template."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            gone, _ = os.pipe()
            os.close(reader)
            fork._run_middle_process(lambda: os._exit(0), gone, writer)
        finally:
            os._exit(42)
    os.close(reader)
    os.close(writer)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_trial_ends_with_its_processes(monkeypatch):
    """A process of the trial that outlives it would be taken for a second template."""
    leave = os._exit

    def leave_late(code):
        time.sleep(0.2)
        leave(code)

    monkeypatch.setattr(os, "_exit", leave_late)
    pid = fork._trial(os.getpid)
    assert pid
    with contextlib.suppress(psutil.NoSuchProcess):
        assert psutil.Process(pid).status() == psutil.STATUS_ZOMBIE  # its reaper is slow
