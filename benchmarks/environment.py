"""Environment of a benchmark run: machine, date and versions."""

from __future__ import annotations

import contextlib
import datetime as dt
import importlib.metadata
import os
import platform
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.options import Options

_ROOT = Path(__file__).resolve().parent.parent


def environment(options: Options) -> dict[str, Any]:
    """Environment and options of a run, as JSON values."""
    packages = dict.fromkeys(package for server in options.servers for package in server.packages)
    more = {
        "note": options.note,
        "rounds": options.rounds,
        "seconds": options.seconds,
        "wrk": _first_line(["wrk", "-v"]),
    }
    return machine() | more | {"versions": versions([*packages, "fastapi"])}


def machine() -> dict[str, Any]:
    """Machine, date, and commit of corn."""
    return {
        "date": dt.datetime.now(dt.timezone.utc).strftime("%Y-%m-%d"),
        "python": platform.python_version(),
        "kernel": platform.release(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "commit": _first_line(["git", "-C", str(_ROOT), "describe", "--always", "--dirty"]),
        "load_before": round(os.getloadavg()[0], 2),
    }


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Installed version of each package; packages that are not installed are omitted, and their runs have failed."""
    known = {}
    for name in packages:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            known[name] = importlib.metadata.version(name)
    return known


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _first_line(command: list[str]) -> str:
    """First line that a tool prints; wrk prints its version with exit code 1."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    return (done.stdout or done.stderr).partition("\n")[0].strip()
