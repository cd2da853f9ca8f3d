"""Ties of a process to its parent."""

import os
import subprocess
import sys

import pytest

ENDLESS = """
import os, time

def main(fd):
    os.write(fd, b"runs")
    time.sleep(3600)
"""
SHORT_LIVED_PARENT = """
import os
from corn.supervisor.children.spawn import execute

execute("endless", 1, [], os.environ)
os._exit(0)
"""
CHILD = """
import sys
from corn.system.process import exit_with_parent

exit_with_parent(int(sys.argv[1]))
print("runs", end="")
"""


@pytest.mark.parametrize(("is_parent", "output"), [(True, b"runs"), (False, b"")])
def test_process_exits_if_parent_has_exited(is_parent, output):
    pid = os.getpid() if is_parent else os.getppid()
    done = subprocess.run([sys.executable, "-c", CHILD, str(pid)], stdout=subprocess.PIPE, timeout=20, check=True)
    assert done.stdout == output


def test_child_of_parent_killed_during_start_exits(tmp_path):
    (tmp_path / "endless.py").write_text(ENDLESS)
    command = [sys.executable, "-c", SHORT_LIVED_PARENT]
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    # Returns when nobody holds the output open any more.
    done = subprocess.run(command, stdout=subprocess.PIPE, env=environment, timeout=20, check=True)
    assert done.stdout in (b"", b"runs")
