"""corn as process 1 of a container: a process namespace of its own (pid_namespaces(7)), without anything else in it."""

from __future__ import annotations

import os
import signal
import sys

import psutil

from tests.integration.served import Served, write_app

ORPHANS = """
import subprocess
subprocess.run(["sh", "-c", "sleep 0.1 & sleep 0.2 & exit"])
"""


def master_of(served: Served) -> psutil.Process:
    return psutil.Process(served.pid).children()[0]


def test_process_one_reaps_what_it_inherits_and_stops_as_asked(tmp_path, program):
    write_app(tmp_path, "one", more=ORPHANS)
    new_namespace = [program("unshare"), "--pid", "--fork", "--mount-proc"]
    if os.geteuid() != 0:
        new_namespace += ["--user", "--map-root-user"]
    command = [*new_namespace, sys.executable, "-m", "corn", "serve"]
    arguments = ("main:app", "--port", "0", "--workers", "2", "--preload", "none")
    with Served(tmp_path, *arguments, program=command).wait_ready() as served:
        master = master_of(served)
        served.wait_for(r"master \[1\]")
        served.wait_until(lambda: all(each.name() != "sleep" for each in master.children()), "no orphan left")
        served.wait_until(lambda: all(each.status() != "zombie" for each in master.children()), "all reaped")
        assert served.client().get().startswith("one ")
        since = served.mark()
        master.send_signal(signal.SIGUSR2)
        served.wait_for("process 1 of a container cannot be replaced", since=since)
        master.send_signal(signal.SIGTERM)
        assert served.wait_exit() == 0
