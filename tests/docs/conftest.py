"""Environment of a reader of the documentation: the wheel and what the examples require, and nothing else."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.doc_session import ROOT

REQUIREMENTS = sorted((ROOT / "examples").glob("*/requirements.txt"))


@pytest.fixture(scope="session")
def bin_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`bin` directory of an environment with the built wheel, its extras and FastAPI; shared by all test processes."""
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "documented"
    shared.mkdir(exist_ok=True)
    with (shared / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        environment = shared / "environment"
        if not (shared / "done").exists():
            # With PYTHONPATH, pip would take this checkout for an installed corn.
            clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
            pip = [environment / "bin" / "python", "-m", "pip", "--quiet", "--disable-pip-version-check"]
            subprocess.run([sys.executable, "-m", "venv", "--clear", environment], check=True)
            subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", shared, ROOT], env=clean, check=True)
            (wheel,) = shared.glob("*.whl")
            needed = [word for path in REQUIREMENTS for word in ("--requirement", path)]
            subprocess.run([*pip, "install", f"{wheel}[admin,top]", *needed], env=clean, check=True)
            (shared / "done").touch()
    return environment / "bin"
