"""Interactive shell in a pseudo-terminal, with corn dev as its job."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import shutil
import signal
import sys
import threading
import time

import psutil

from tests.support.corn_process import DEADLINE
from tests.support.http_client import Client


class Shell:
    """Interactive bash in a pseudo-terminal."""

    def __init__(self, directory):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(directory)
            environment = {k: v for k, v in os.environ.items() if not k.startswith("CORN_")} | {
                "PS1": "$ ",
                "TERM": "xterm",
            }
            os.execve(shutil.which("bash"), ["bash", "--norc", "--noprofile", "-i"], environment)
        self.output = ""
        self._news = threading.Condition()
        self.closing = threading.Event()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        with contextlib.suppress(OSError):
            while not self.closing.is_set():
                if not select.select([self.fd], [], [], 0.05)[0]:
                    continue
                data = os.read(self.fd, 65536)
                with self._news:
                    self.output += data.decode("utf-8", "replace")
                    self._news.notify_all()

    def type(self, text):
        os.write(self.fd, text.encode())

    def run(self, line):
        self.type(line + "\n")

    def wait_for(self, pattern, since=0):
        end = time.monotonic() + DEADLINE
        with self._news:
            while not (found := re.search(pattern, self.output[since:])):
                assert time.monotonic() < end, f"no {pattern!r} in:\n{self.output}"
                self._news.wait(0.1)
        return found

    def develop(self, *arguments, ending=""):
        """Start corn dev as a job, and wait until it serves."""
        self.run(f"{sys.executable} -m corn dev main:app --port 0 --no-access-log {' '.join(arguments)} {ending}")
        self.address = self.wait_for(r"serves main:app at\s+(http://\S+)\s")[1]
        self.port = int(self.address.rpartition(":")[2])
        self.master = next(each for each in psutil.Process(self.pid).children() if "corn" in " ".join(each.cmdline()))

    def client(self):
        return Client(self.address)

    def answers(self, expected):
        return self.client().request() == (200, expected.encode())

    def close(self):
        """Close the terminal, as a terminal emulator does with its window."""
        self.closing.set()
        self.reader.join()  # a terminal that is read is not closed
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def has_ended(process):
    """Whether a process has exited, reaped by its parent or not."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    return True


def wait_until(condition, what):
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, what
        threading.Event().wait(0.02)


@contextlib.contextmanager
def shell_in(directory):
    """Shell in a directory; its jobs are killed after the test."""
    shell = Shell(directory)
    try:
        yield shell
    finally:
        family = psutil.Process(shell.pid).children(recursive=True)
        shell.close()
        for each in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()
        with contextlib.suppress(ProcessLookupError):
            os.kill(shell.pid, signal.SIGKILL)
        os.waitpid(shell.pid, 0)
