"""Debugger in corn dev, at a real terminal: it stops at the call, and the terminal settings are restored."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time

import pytest

from tests.support.corn_process import DEADLINE
from tests.support.environment import clean_environment

APP = """
import os
{at_import}
SECRET = 6 * 7

async def app(scope, receive, send):
    assert scope["type"] == "http"
    {in_request}
    await send({{"type": "http.response.start", "status": 200, "headers": []}})
    await send({{"type": "http.response.body", "body": b"done"}})
"""


class Terminal:
    """`corn dev` in its own pseudo-terminal."""

    def __init__(self, directory, **environment):
        self._ours, theirs = pty.openpty()
        self.before = termios.tcgetattr(theirs)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "corn", "dev", "main:app", "--port", "0"],
            cwd=directory,
            env=clean_environment(**{"TERM": "dumb"} | environment),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        self._theirs = theirs
        self.screen = ""

    def wait_for(self, pattern):
        """Read until the screen shows it; returns the match, and forgets what stands before its end."""
        end = time.monotonic() + DEADLINE
        while (found := re.search(pattern, self.screen)) is None:
            assert time.monotonic() < end, f"no {pattern!r} in:\n{self.screen}"
            if select.select([self._ours], [], [], 0.5)[0]:
                self.screen += os.read(self._ours, 4096).decode(errors="replace")
        self.screen = self.screen[found.end() :]
        return found

    def type(self, text):
        os.write(self._ours, text.encode() + b"\n")

    def settings(self):
        return termios.tcgetattr(self._theirs)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(DEADLINE)
        os.close(self._ours)
        os.close(self._theirs)


def ask(address):
    """Send a GET from a separate process, without waiting for the response."""
    program = f"import urllib.request as r; print(r.urlopen({address!r}, timeout=60).read().decode())"
    return subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("where", ["in_request", "at_import"])
def test_breakpoint_stops_and_continues(tmp_path, where):
    code = {"in_request": "pass", "at_import": "pass", where: "breakpoint()"}
    (tmp_path / "main.py").write_text(APP.format(**code))
    with Terminal(tmp_path) as terminal:
        if where == "at_import":
            terminal.wait_for(r"main\.py\(\d+\)")
            terminal.wait_for(r"\(Pdb\)")
            terminal.type("c")
        address = terminal.wait_for(r"serves main:app at (\S+) ")[1]
        asking = ask(address)
        if where == "in_request":
            terminal.wait_for(r"main\.py\(\d+\)")
            terminal.wait_for(r"\(Pdb\)")
            terminal.type("p SECRET + 1")
            terminal.wait_for("43")
            terminal.type("c")
        assert asking.communicate(timeout=DEADLINE)[0] == "done\n"
        os.killpg(terminal.process.pid, signal.SIGINT)
        assert terminal.process.wait(DEADLINE) == 0
        assert terminal.settings() == terminal.before


def test_save_during_breakpoint_reloads_and_restores_terminal(tmp_path):
    main = tmp_path / "main.py"
    main.write_text(APP.format(at_import="pass", in_request="breakpoint()"))
    with Terminal(tmp_path) as terminal:
        address = terminal.wait_for(r"serves main:app at (\S+) ")[1]
        stopped = ask(address)
        terminal.wait_for(r"\(Pdb\)")
        main.write_text(APP.format(at_import="pass", in_request="pass"))
        terminal.wait_for("reloaded in")
        assert ask(address).communicate(timeout=DEADLINE)[0] == "done\n"
        terminal.wait_for("did not exit within its grace period")
        stopped.kill()
        stopped.communicate(timeout=DEADLINE)
        os.killpg(terminal.process.pid, signal.SIGINT)
        assert terminal.process.wait(DEADLINE) == 0
        assert terminal.settings() == terminal.before
