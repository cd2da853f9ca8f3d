"""Runs the real command in processes of its own, each with a deadline."""

import os
import pty
import select
import subprocess
import sys
import time

import pytest

from tests.support.environment import clean_environment

DEADLINE = 40
COMMAND = [sys.executable, "-m", "corn"]


@pytest.fixture
def corn(tmp_path):
    """`corn(*arguments, **environment)` runs the command in an empty directory and returns the finished process."""

    def run(*arguments, **environment):
        return subprocess.run(
            [*COMMAND, *arguments],
            cwd=tmp_path,
            env=clean_environment(**environment),
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
        )

    return run


@pytest.fixture
def corn_on_a_terminal(tmp_path):
    """As `corn`, on a pseudo-terminal; returns what it shows."""

    def run(*arguments, **environment):
        master, slave = pty.openpty()
        with subprocess.Popen(
            [*COMMAND, *arguments],
            cwd=tmp_path,
            env=clean_environment(TERM="xterm", **environment),
            stdin=slave,
            stdout=slave,
            stderr=slave,
        ) as process:
            os.close(slave)
            shown = _read_to_the_end(master)
            process.wait(DEADLINE)
        os.close(master)
        return shown

    return run


def _read_to_the_end(fd):
    shown, deadline = b"", time.monotonic() + DEADLINE
    while select.select([fd], [], [], max(0, deadline - time.monotonic()))[0]:
        try:
            data = os.read(fd, 65536)
        except OSError:  # EIO is how Linux says that the other side is closed
            data = b""
        if not data:
            return shown.decode()
        shown += data
    raise AssertionError(f"not finished in {DEADLINE} s; so far: {shown!r}")
