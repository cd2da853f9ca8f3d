"""Run a command beside busy processes: `python -m tests.support.busy_processes 8 COMMAND...`.

A test that passes on a quiet machine only has a limit that is not its subject; this finds it.
"""

from __future__ import annotations

import os
import subprocess
import sys

# Each exits with its parent.
_BUSY = """
import os, sys
while os.getppid() == int(sys.argv[1]):
    for _ in range(100_000):
        pass
"""


def main(count: int, command: list[str]) -> int:
    """Run the command beside `count` busy processes, which are then killed by pid; returns its exit code."""
    busy = [subprocess.Popen([sys.executable, "-c", _BUSY, str(os.getpid())]) for _ in range(count)]
    print(f"{count} busy processes beside it: {' '.join(str(each.pid) for each in busy)}", flush=True)
    try:
        return subprocess.run(command, check=False).returncode
    finally:
        for each in busy:
            each.kill()
            each.wait()


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
