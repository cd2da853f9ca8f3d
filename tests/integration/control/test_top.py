"""`corn top` on a real terminal (tmux), with an instance that is reloaded, scaled, stopped and restarted."""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys
import time

import psutil
import pytest

from tests.support.control_cli import Commanded
from tests.support.corn_process import DEADLINE, write_app
from tests.support.free_ports import free_port

QUICK = ("--soak", "0", "--no-access-log")
COLUMNS, LINES = 80, 24


class Screen:
    """A terminal in which a shell command runs."""

    def __init__(self, tmux, directory, command, columns=COLUMNS, lines=LINES):
        self._tmux = [tmux, "-S", str(directory / "tmux"), "-f", "/dev/null"]
        self._run("new-session", "-d", "-x", str(columns), "-y", str(lines), f"{command}; exec sleep 1000")

    def __enter__(self):
        return self

    def __exit__(self, *reason):
        self._run("kill-server")

    def press(self, *keys):
        self._run("send-keys", *keys)

    def wait_for(self, text):
        """Wait until a text is shown; returns the lines that are."""
        return self.wait_until(lambda shown: text in shown, f"no {text!r}")

    def wait_until(self, condition, failure="not so"):
        """Wait until the shown text fulfils a condition; returns its lines."""
        end = time.monotonic() + DEADLINE
        while not condition(shown := self._run("capture-pane", "-p")):
            assert time.monotonic() < end, f"{failure} in:\n{shown}"
            time.sleep(0.05)
        return shown.splitlines()

    def programs(self):
        """The processes that the shell of the terminal runs."""
        return psutil.Process(int(self._run("display-message", "-p", "#{pane_pid}"))).children()

    def terminate(self):
        for each in self.programs():
            each.terminate()

    def _run(self, *arguments):
        return subprocess.run([*self._tmux, *arguments], capture_output=True, text=True, check=True, timeout=20).stdout


def above_footer(text):
    """The screen without the keys, and the outcome above them."""
    return "\n".join(text.rstrip().splitlines()[:-2])


@pytest.fixture
def screen(tmp_path, program):
    command = (
        f"{shlex.quote(sys.executable)} -m corn top --interval 0.2 --control {shlex.quote(str(tmp_path / 'sockets'))}"
    )
    with_end = f"{command}; echo ended with $?; stty -a | tr ';' ' ' | tr ' ' '\\n' | grep -x -e '-*icanon' -e '-*echo'"
    return lambda *size: Screen(program("tmux"), tmp_path, with_end, *size)


def test_top_controls_instance_and_survives_its_restart(tmp_path, sockets, screen):
    write_app(tmp_path, "one")
    port = str(free_port())  # the second instance has it too
    with (
        Commanded(tmp_path, "main:app", "-w", "2", "--port", port, *QUICK, sockets=sockets).wait_ready() as served,
        screen() as shown,
    ):
        lines = shown.wait_for("2/2 ready")
        assert max(map(len, lines)) <= COLUMNS
        served.workers()[0].kill()
        shown.wait_for("was restarted once")
        shown.press("r")
        shown.wait_for("reload the code? y/n")
        shown.press("y")
        shown.wait_for("reloaded: generation 2 serves")
        # The terminal may have received half of a screen.
        shown.wait_until(lambda text: "^gen 2" in text and "reload" not in above_footer(text), "still reloading")
        shown.press("+", "y")
        shown.wait_for("3/3 ready")
        shown.press("Down", "s")
        shown.wait_for("asyncio tasks")
        shown.press("q")
        shown.wait_for("3/3 ready")
        served.signal(signal.SIGTERM)
        served.process.wait(DEADLINE)
        shown.wait_for("NO RESPONSE")
        again = ("main:app", "-w", "4", "--port", port, *QUICK)
        with Commanded(tmp_path, *again, sockets=sockets).wait_ready():
            shown.wait_for("4/4 ready")
            shown.press("q")
            shown.wait_for("ended with 0")


@pytest.mark.parametrize("size", [(80, 24), (140, 40)])
def test_top_refused_reload_is_shown_until_acknowledged(tmp_path, sockets, screen, size):
    write_app(tmp_path, "one")
    good = (tmp_path / "main.py").read_text()
    with (
        Commanded(tmp_path, "main:app", "-w", "2", "--port", "0", *QUICK, sockets=sockets).wait_ready() as served,
        screen(*size) as shown,
    ):
        shown.wait_for("2/2 ready")
        (tmp_path / "main.py").write_text("import no_such_module_of_this_name")
        served.signal(signal.SIGHUP)
        shown.wait_for("RELOAD REFUSED")
        lines = shown.wait_for("generation 1 still serves")
        assert "No module named 'no_such_module_of_this_name'" in "".join(line.strip() + " " for line in lines)
        assert shown.wait_for("xgen 2 refused")
        shown.press("a")
        shown.wait_until(lambda text: "RELOAD REFUSED" not in text)
        served.signal(signal.SIGHUP)
        shown.wait_for("RELOAD REFUSED")
        (tmp_path / "main.py").write_text(good)
        served.signal(signal.SIGHUP)
        shown.wait_until(lambda text: "serving, generation 4" in text and "RELOAD REFUSED" not in text)
        assert shown.wait_for("^gen 4")


@pytest.mark.parametrize("key", ["C-c", "terminate"])
def test_top_restores_terminal_on_interrupt_and_sigterm(tmp_path, sockets, screen, key):
    write_app(tmp_path, "one")
    with (
        Commanded(tmp_path, "main:app", "--port", "0", *QUICK, sockets=sockets).wait_ready(),
        screen() as shown,
    ):
        shown.wait_for("1/1 ready")
        if key == "terminate":
            shown.terminate()
        else:
            shown.press(key)
        assert shown.wait_for("ended with")[0] == "ended with 0"
        lines = shown.wait_for("\necho")
        assert {"icanon", "echo"} <= set(lines)


def test_top_without_terminal_exits_silently(tmp_path, sockets, program):
    write_app(tmp_path, "one")
    command = [sys.executable, "-m", "corn", "top", "--control", str(sockets)]
    said = tmp_path / "said"
    with Commanded(tmp_path, "main:app", "--port", "0", *QUICK, sockets=sockets).wait_ready():
        with Screen(program("tmux"), tmp_path, f"{shlex.join(command)} 2>{shlex.quote(str(said))}") as shown:
            shown.wait_for("1/1 ready")
            programs = shown.programs()
        assert programs
        assert not psutil.wait_procs(programs, DEADLINE)[1]
    assert said.read_text() == ""
