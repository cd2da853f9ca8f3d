"""An instance and the commands to it, kept apart from every other instance on the machine by a directory of sockets."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.support.corn_process import DEADLINE, Served
from tests.support.environment import clean_environment

COMMAND = [sys.executable, "-m", "corn"]


class Commanded(Served):
    """`corn serve` whose control socket is in `sockets`, and `ask` for the commands that reach it there."""

    def __init__(self, directory: Path, *arguments: str, sockets: Path, **environment: str) -> None:
        sockets.mkdir(exist_ok=True)
        self.sockets = sockets
        super().__init__(directory, *arguments, CORN_CONTROL=str(sockets), **environment)

    def ask(self, *arguments: str, deadline: float = DEADLINE) -> subprocess.CompletedProcess[str]:
        """Run a command, meant for this instance."""
        return command(self.sockets, *arguments, "--pid", str(self.pid), deadline=deadline)

    def told(self, *arguments: str) -> str:
        """What a command prints; fails unless it exits with 0."""
        done = self.ask(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def status(self) -> dict:
        return json.loads(self.ask("status", "--json").stdout)


def command(
    sockets: Path, *arguments: str, cwd: Path | None = None, deadline: float = DEADLINE
) -> subprocess.CompletedProcess[str]:
    """Run a command that looks for instances in a directory of sockets."""
    return subprocess.run(
        [*COMMAND, *arguments],
        env=clean_environment(CORN_CONTROL=str(sockets)),
        cwd=cwd or sockets,
        capture_output=True,
        text=True,
        timeout=deadline,
        check=False,
    )
