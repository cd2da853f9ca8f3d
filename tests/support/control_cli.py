"""Instance of corn and commands to it, with a separate control directory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.support.corn_process import DEADLINE, Served
from tests.support.environment import clean_environment

COMMAND = [sys.executable, "-m", "corn"]


class Commanded(Served):
    """`corn serve` with its control socket in `sockets`; `ask` runs commands for it."""

    def __init__(self, directory: Path, *arguments: str, sockets: Path, **environment: str) -> None:
        sockets.mkdir(exist_ok=True)
        self.sockets = sockets
        super().__init__(directory, *arguments, CORN_CONTROL=str(sockets), **environment)

    def ask(self, *arguments: str, deadline: float = DEADLINE) -> subprocess.CompletedProcess[str]:
        """Run a command for this instance."""
        return command(self.sockets, *arguments, "--pid", str(self.pid), deadline=deadline)

    def output_of(self, *arguments: str) -> str:
        """Output of a command; fails unless it exits with 0."""
        done = self.ask(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def status(self) -> dict:
        return json.loads(self.ask("status", "--json").stdout)


def command(
    sockets: Path, *arguments: str, cwd: Path | None = None, deadline: float = DEADLINE
) -> subprocess.CompletedProcess[str]:
    """Run a command with the control directory `sockets`."""
    return subprocess.run(
        [*COMMAND, *arguments],
        env=clean_environment(CORN_CONTROL=str(sockets)),
        cwd=cwd or sockets,
        capture_output=True,
        text=True,
        timeout=deadline,
        check=False,
    )
