"""Workers whose process id reaches the master late, or not from the template that forked them."""

from __future__ import annotations

import contextlib
import re
import sys

import psutil
import pytest

from tests.support.corn_process import Served, write_app

# While the file `hold` exists, the template stops after the fork of the intermediate process. With `hold_worker`, the
# worker stops before its first line of code; with `hold_middle`, the intermediate process stops after the fork of the
# worker, and with `slow_middle` for two seconds.
HOLDS = """
import time
import corn.worker.forking.fork

TEMPLATE = os.getpid()
corn.worker.forking.fork._FORK_TIMEOUT = 60.0

def hold(name):
    while os.path.exists(name):
        time.sleep(0.01)

def in_parent():
    hold("hold" if os.getpid() == TEMPLATE else "hold_middle")
    if os.getpid() != TEMPLATE and os.path.exists("slow_middle"):
        time.sleep(2)

def in_child():
    if os.getppid() != TEMPLATE:
        hold("hold_worker")

os.register_at_fork(after_in_parent=in_parent, after_in_child=in_child)
"""
# corn with a longer timeout for a fork, which must not expire while a test holds a process.
PATIENT = """
import sys
import corn.supervisor.policy.reconcile
corn.supervisor.policy.reconcile.SPAWN_TIMEOUT = 60.0
from corn.cli.main import main
sys.argv[0] = "corn"
main()
"""


@pytest.fixture
def served(tmp_path):
    write_app(tmp_path, "one", more=HOLDS)
    (tmp_path / "patient.py").write_text(PATIENT)
    program = [sys.executable, "patient.py", "serve"]
    arguments = ("main:app", "--port", "0", "--soak", "0", "--preload", "app")
    with Served(tmp_path, *arguments, program=program).wait_ready() as served:
        yield served


def orphan(served: Served, known: list[psutil.Process]) -> psutil.Process | None:
    """Child of the master that is not in `known`: the new worker, under any process name."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return next((each for each in psutil.Process(served.pid).children() if each not in known), None)
    return None


def test_worker_of_killed_template_is_adopted_by_master(served):
    template, first = served.templates()[0], served.workers()[0]
    (served.directory / "hold").touch()
    first.kill()
    served.wait_until(lambda: first not in served.workers() and served.workers(), "the next worker")
    second = served.workers()[0]
    assert served.client().get() == f"one {second.pid}"
    mark = served.mark()
    template.kill()
    (served.directory / "hold").unlink()
    served.wait_for("the template of generation 1 was lost")
    with contextlib.suppress(psutil.NoSuchProcess):  # a worker of the code on disk has replaced it already
        second.kill()
    served.wait_for(rf"worker 0 \(generation [12], pid {second.pid}\) (crashed: killed by SIGKILL|exited)", since=mark)
    served.wait_until(served.workers, "a worker of the code on disk")
    assert served.client().get().startswith("one ")


def test_worker_exit_before_fork_report_is_logged_with_pid(served):
    known = psutil.Process(served.pid).children()
    for name in ("hold", "hold_worker"):
        (served.directory / name).touch()
    mark = served.mark()
    served.workers()[0].kill()
    served.wait_until(lambda: orphan(served, known), "the next worker")
    second = orphan(served, known)
    second.kill()
    served.wait_until(lambda: not psutil.pid_exists(second.pid), "its end is collected")
    for name in ("hold", "hold_worker"):
        (served.directory / name).unlink()
    served.wait_for(rf"worker 0 \(generation 1, pid {second.pid}\) failed: killed by SIGKILL", since=mark)
    served.wait_until(served.workers, "another worker")


def middle_and_worker(template: psutil.Process) -> list[psutil.Process]:
    """Intermediate process of the double fork, and the worker, while the first exists."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return template.children(recursive=True)
    return []


def test_worker_of_killed_intermediate_process_is_adopted(served):
    """Double fork: the intermediate process dies, and the template reports a failed fork."""
    (served.directory / "hold_middle").touch()
    template, first = served.templates()[0], served.workers()[0]
    first.kill()
    served.wait_until(lambda: len(middle_and_worker(template)) == 2, "the next worker")
    middle, second = middle_and_worker(template)
    middle.kill()
    (served.directory / "hold_middle").unlink()
    served.wait_until(lambda: second in served.workers(), "its name")
    assert served.client().get() == f"one {second.pid}"
    mark = served.mark()
    second.kill()
    served.wait_for(rf"worker 0 \(generation 1, pid {second.pid}\) crashed: killed by SIGKILL", since=mark)
    assert "could not be forked" not in served.output


def test_worker_with_slow_intermediate_process_serves(served):
    (served.directory / "slow_middle").touch()
    first = served.workers()[0]
    mark = served.mark()
    first.kill()
    served.wait_for(rf"worker 0 \(generation 1, pid {first.pid}\) crashed: killed by SIGKILL", since=mark)
    served.wait_until(served.workers, "the next worker")
    assert served.client().get() == f"one {served.workers()[0].pid}"
    assert len(re.findall(r"crashed|failed|exited", served.output)) == 1, served.output


def test_intermediate_process_exits_with_killed_template(served):
    (served.directory / "hold_middle").touch()
    template = served.templates()[0]
    served.workers()[0].kill()
    served.wait_until(lambda: len(middle_and_worker(template)) == 2, "the next worker")
    middle, second = middle_and_worker(template)
    template.kill()
    served.wait_for("the template of generation 1 was lost")
    (served.directory / "hold_middle").unlink()
    served.wait_until(lambda: not middle.is_running(), "the end of the process between the two")
    served.wait_until(lambda: rf"pid {second.pid}) exited: reload" in served.output, "the worker's end is explained")
    served.wait_until(served.workers, "a worker of the code on disk")


def test_unanswered_fork_request_of_killed_template_is_repeated(served):
    template = served.templates()[0]
    template.suspend()
    served.workers()[0].kill()
    served.wait_for("crashed: killed by SIGKILL")
    mark = served.mark()
    template.kill()
    served.wait_for("could not be forked: its template was lost", since=mark)
    assert "not forked in time" not in served.output
    served.wait_until(served.workers, "a worker of the code on disk")
    assert served.client().get().startswith("one ")
