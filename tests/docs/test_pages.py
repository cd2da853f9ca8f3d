"""Commands, files and outputs of the documentation, run from a wheel in an environment of its own."""

from __future__ import annotations

import ast
import shutil
from pathlib import Path

import pytest

from corn.errors import ExitCode
from tests.support.doc_session import ROOT, Session, blocks_of

RUNNABLE = (
    "deploy-containers.md",
    "deploy-kubernetes.md",
    "deploy-systemd.md",
    "frameworks.md",
    "tracing.md",
    "zero-downtime-deploys.md",
    "blocked-event-loop.md",
    "memory-leak.md",
    "observe.md",
    "tuning-workers.md",
    "tls.md",
    "troubleshooting.md",
)
HOW_TO = (ROOT / "docs" / "how-to").glob("*.md")
RUN = [
    "README.md",
    "docs/tutorial.md",
    "docs/reference/control.md",
    "docs/reference/hooks.md",
    *sorted(str(page.relative_to(ROOT)) for page in HOW_TO if page.name in RUNNABLE),
]
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
