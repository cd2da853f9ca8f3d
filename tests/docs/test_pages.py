"""Commands, files and outputs of the documentation, run from a wheel in an environment of its own."""

from __future__ import annotations

import ast
import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from corn.errors import ExitCode
from tests.support.doc_session import ROOT, Session, blocks_of

RUNNABLE = (
    "zero-downtime-deploys.md",
    "blocked-event-loop.md",
    "memory-leak.md",
    "tuning-workers.md",
    "tls.md",
    "troubleshooting.md",
)
HOW_TO = (ROOT / "docs" / "how-to").glob("*.md")
RUN = [
    "README.md",
    "docs/tutorial.md",
    *sorted(str(page.relative_to(ROOT)) for page in HOW_TO if page.name in RUNNABLE),
]
REQUIREMENTS = sorted((ROOT / "examples").glob("*/requirements.txt"))
EXAMPLES = sorted(str(page.relative_to(ROOT)) for page in (ROOT / "examples").glob("*/README.md"))

MAIN = """
from fastapi import FastAPI

app = FastAPI()


@app.get("/")
def read_root() -> dict[str, str]:
    return {"hello": "world"}


@app.get("/health")
def health() -> dict[str, bool]:
    return {"ok": True}
"""


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


@pytest.mark.parametrize("name", RUN)
def test_page_output_matches_its_commands(name: str, bin_directory: Path, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(MAIN)
    read(name, tmp_path, bin_directory)


@pytest.mark.parametrize("name", EXAMPLES)
def test_example_output_matches_its_commands(name: str, bin_directory: Path, tmp_path: Path, program) -> None:
    if "haproxy" in name:
        program("haproxy")
    shutil.copytree((ROOT / name).parent, tmp_path, dirs_exist_ok=True)
    read(name, tmp_path, bin_directory)


def read(name: str, directory: Path, bin_directory: Path) -> None:
    """Run the commands of a page in `directory`."""
    with Session(directory, bin_directory, directory.glob("*.cfg")) as session:
        for block in blocks_of(ROOT / name):
            if block.file_name:
                session.write(block.file_name, block.text)
            elif block.language == "console":
                for command in block.commands():
                    session.run(command)
            elif block.language == "python":
                ast.parse(block.text)


def test_exit_codes_page_lists_all_codes() -> None:
    page = (ROOT / "docs" / "reference" / "exit-codes.md").read_text()
    rows = [line.split("|")[1:3] for line in page.splitlines() if line.startswith("| ")]
    assert [(number.strip(), name.strip(" `")) for number, name in rows if number.strip().isdigit()] == [
        (str(int(each)), each.name) for each in ExitCode
    ]
