"""Runner of a documentation page: writes the files that it shows, runs its commands, and compares their output.

The conventions that pages keep:

- a code block whose first line is a comment with a file name (`# main.py`) is that file
- in a `console` block, lines that begin with `$ ` are commands (`> ` continues one), the others are their output
- the lines of output are printed in this order; `...` stands for any text; numbers may differ, except of generations;
  a page may leave lines out
- `git clone <...> corn` is a clone of this repository
- a directory, a variable and an activated environment last until the end of the page
- `corn serve`, `corn dev` and `make serve` stay in the foreground: the page goes on in another terminal; `^C` ends them
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.free_ports import free_ports

ROOT = Path(__file__).parents[2]
PORTS = (8000, 8001, 8002, 8080, 9100)  # of the pages; each session replaces them by free ones
DEADLINE = 120
PAUSE = 0.5  # seconds between two commands: a reader types the next one
_FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
_FILE_NAME = re.compile(r"(?:#|//|<!--)\s*([\w./-]+\.\w+|Dockerfile)\s*(?:-->)?\s*$")
# State for the next command: variables (without those that bash refuses to set) and the directory.
_KEEP = """
exit=$?
{{ declare -p | grep -v '^declare -[^ ]*r'; echo cd "'$PWD'"; }} >{}
exit $exit
"""
_NUMBER = re.compile(r"(?<!generation )(?<!\d)\d+(?:\.\d+)*")  # a page counts generations as corn does


@dataclass
class Command:
    text: str
    output: list[str] = field(default_factory=list)


@dataclass
class Block:
    language: str
    text: str

    @property
    def file_name(self) -> str | None:
        """The file that the block shows, or None."""
        match = _FILE_NAME.match(self.text.partition("\n")[0])
        return match[1] if match and self.language != "console" else None

    def commands(self) -> list[Command]:
        """The commands of a `console` block, each with the output shown below it."""
        found: list[Command] = []
        for line in self.text.splitlines():
            if line.startswith("$ "):
                found.append(Command(line[2:]))
            elif line.startswith("> ") and found and not found[-1].output:
                found[-1].text += "\n" + line[2:]
            elif found and line.strip():
                found[-1].output.append(line)
        return found


def blocks_of(page: Path) -> list[Block]:
    """The fenced code blocks of a page, in order."""
    return [Block(match[1], match[2]) for match in _FENCE.finditer(page.read_text(encoding="utf-8"))]


class Session:
    """Session of a reader of one page, with a separate directory and environment."""

    def __init__(self, directory: Path, bin_directory: Path, configured: Iterable[Path] = ()) -> None:
        self.directory = directory
        self._state = directory / ".state"
        self._port_of = {str(port): str(free) for port, free in zip(PORTS, free_ports(len(PORTS)), strict=True)}
        control = directory / ".control"
        control.mkdir(mode=0o700)
        dropped = ("CORN_", "VIRTUAL_ENV", "PYTHON", "COLUMNS", "NO_COLOR", "FORCE_COLOR")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
        self._environment = kept | {
            "PATH": f"{bin_directory}:{os.environ['PATH']}",
            "CORN_CONTROL": str(control),
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "CORN_PORT": self._port_of.get("8000", "0"),
        }
        self._foreground: subprocess.Popen[bytes] | None = None
        self._develops = False  # the command in the foreground is `corn dev`
        for path in configured:
            self.write(path.name, path.read_text(encoding="utf-8"))
        self._shown = directory / ".shown"

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *args: object) -> None:
        self.interrupt()

    def write(self, name: str, text: str) -> None:
        """Write a file that the page shows."""
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self._moved(text), encoding="utf-8")

    def run(self, command: Command) -> None:
        """Run a command, or start it where it stays in the foreground, and compare what it prints."""
        expected = [line for line in command.output if line != "^C"]
        if self._foreground is not None:
            threading.Event().wait(PAUSE)
        if _stays_in_foreground(command.text):
            self.interrupt()
            self._start(command.text)
            self._wait_for(expected)
        else:
            reloads = self._reloads()
            done = subprocess.run(
                [
                    "bash",
                    "-c",
                    self._script(command.text, _KEEP.format(self._state)),
                ],
                cwd=self.directory,
                env=self._environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=DEADLINE * 3,
                check=False,
            )
            missing = first_missing(expected, done.stdout.splitlines())
            assert missing is None, f"$ {command.text}\nis shown to print\n{missing}\nand printed\n{done.stdout}"
            assert expected or done.returncode == 0, f"$ {command.text}\nexit code {done.returncode}\n{done.stdout}"
            if self._develops and command.text.startswith("sed -i"):
                self._wait_until(lambda: self._reloads() > reloads, "a line about the reload")
        if "^C" in command.output:
            self.interrupt()

    def interrupt(self) -> None:
        """End the command in the foreground as Ctrl-C does: SIGINT to its process group, new masters included."""
        process, self._foreground = self._foreground, None
        if process is None:
            return
        deadline, waiting = time.monotonic() + DEADLINE, threading.Event()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT)
            while process.poll() is None or _has_members(process.pid):
                if time.monotonic() > deadline:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
                    raise AssertionError(f"did not end:\n{self._shown.read_text()}")
                waiting.wait(0.05)

    def _start(self, text: str) -> None:
        with self._shown.open("wb") as shown:
            self._foreground = subprocess.Popen(
                ["bash", "-c", self._script(f"exec {text}")],
                cwd=self.directory,
                env=self._environment,
                stdout=shown,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._develops = text.startswith("corn dev")
        self._wait_for(["... serves ..."])

    def _wait_for(self, expected: list[str]) -> None:
        self._wait_until(lambda: first_missing(expected, self._shown.read_text().splitlines()) is None, expected)

    def _wait_until(self, condition: Callable[[], bool], what: object) -> None:
        assert self._foreground is not None
        deadline, waiting = time.monotonic() + DEADLINE, threading.Event()
        while not condition():
            assert self._foreground.poll() is None, f"it has ended:\n{self._shown.read_text()}"
            assert time.monotonic() < deadline, f"not shown: {what}; but:\n{self._shown.read_text()}"
            waiting.wait(0.05)

    def _reloads(self) -> int:
        """Number of reloads that `corn dev` has reported in the first terminal, where a reader sees them."""
        return self._shown.read_text().count(" reloaded in ") if self._develops else 0

    def _script(self, text: str, end: str = "") -> str:
        """Script that runs `text` with the directory and variables of the previous command."""
        start = f"[ -e {self._state} ] && . {self._state}\n"
        return start + re.sub(r"git clone <[^>]+>", f"git clone --quiet {ROOT}", self._moved(text)) + end

    def _moved(self, text: str) -> str:
        """`text` with the page's ports replaced by free ones."""
        for port, free in self._port_of.items():
            text = re.sub(rf"\b{port}\b", free, text)
        return text


def _has_members(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def _stays_in_foreground(text: str) -> bool:
    words = shlex.split(text.replace("\n", " "), comments=True)
    staying = ("--daemon", "--check-config", "--help", "--explain-reload")
    is_server = words[:2] in (["corn", "serve"], ["corn", "dev"]) or (words[:1] == ["make"] and words[-1] == "serve")
    return is_server and not any(word in words for word in staying)


def first_missing(expected: list[str], actual: list[str]) -> str | None:
    """The first line of `expected` that does not follow in `actual`, in order; None if all do."""
    remaining = iter([_normal(line) for line in actual])
    for line in expected:
        pattern = _pattern(line)
        if not any(pattern.fullmatch(each) for each in remaining):
            return line
    return None


def _normal(line: str) -> str:
    return " ".join(_NUMBER.sub("N", line).split())


def _pattern(line: str) -> re.Pattern[str]:
    return re.compile(r".*".join(re.escape(part) for part in _normal(line).split("...")))
