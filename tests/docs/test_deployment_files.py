"""Files of `corn init` in use: the Dockerfile is carried out step by step, without a container."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.corn_process import Served
from tests.support.free_ports import free_ports

APP = """
import flask

app = flask.Flask(__name__)

@app.get("/")
def root():
    return "it serves"
"""
REQUIREMENTS, PYPROJECT = "flask\n", '[project]\nname = "shop"\nversion = "1"\ndependencies = ["flask"]\n'


def without_python() -> dict[str, str]:
    """This environment, without what would have another corn found."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "CORN_"))}


class Image:
    """Environment and directory in which the steps of a Dockerfile are carried out, as far as they concern Python.

    `pip` is a pip that installs into another environment: to install one into each takes as long as the steps.
    """

    def __init__(self, base: Path, context: Path, pip: Path) -> None:
        self.directory, self._context = base / "app", context
        self.directory.mkdir()
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", base / "venv"], check=True)
        self._pip = f"{shlex.quote(str(pip))} --python {shlex.quote(str(base / 'venv' / 'bin' / 'python'))}"
        self.environment = without_python() | {"PATH": f"{base / 'venv' / 'bin'}:{os.environ['PATH']}"}
        self.command: list[str] = []

    def build(self, text: str) -> None:
        for line in re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).splitlines():
            step, _, rest = line.partition(" ")
            if step == "COPY":
                self._copy(*rest.split())
            elif step == "RUN" and rest.startswith("pip "):
                quiet = f"{self._pip} {rest.removeprefix('pip ')} --quiet --disable-pip-version-check"
                subprocess.run(["sh", "-c", quiet], cwd=self.directory, env=self.environment, check=True)
            elif step == "ENV":
                self.environment |= dict(each.split("=", 1) for each in rest.split())
            elif step == "CMD":
                self.command = json.loads(rest)
            else:
                assert step in ("FROM", "WORKDIR", "USER", "EXPOSE") or rest.startswith("useradd "), line

    def _copy(self, *names: str) -> None:
        for name in names[:-1]:
            found = list(self._context.glob(name)) if name != "." else [self._context]
            assert found, name
            for each in found:
                if each.is_dir():
                    shutil.copytree(each, self.directory, dirs_exist_ok=True)
                else:
                    shutil.copy(each, self.directory)


@pytest.mark.parametrize("kind", ["requirements", "pyproject"])
def test_dockerfile_of_init_installs_and_serves_project(kind: str, bin_directory: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "shop.py").write_text(APP)
    name, text = ("requirements.txt", REQUIREMENTS) if kind == "requirements" else ("pyproject.toml", PYPROJECT)
    (project / name).write_text(text)
    made = subprocess.run(
        [bin_directory / "corn", "init", "--docker"],
        cwd=project,
        env=without_python(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert "Put corn's wheel here before the build: pip wheel --no-deps " in made.stderr
    (wheel,) = bin_directory.parent.parent.glob("corn_server-*.whl")
    shutil.copy(wheel, project)
    image = Image(tmp_path, project, bin_directory / "pip")
    image.build((project / "Dockerfile").read_text())
    (port,) = free_ports(1)
    program = shutil.which(image.command[0], path=image.environment["PATH"])
    environment = image.environment | {"CORN_BIND": image.environment["CORN_BIND"].replace("8000", str(port))}
    with Served(
        image.directory,
        *image.command[1:],
        program=[str(program)],
        CORN_CONTROL=str(tmp_path),
        PYTHONPATH="",
        **{name: value for name, value in environment.items() if name.startswith(("CORN_", "PATH", "PYTHON"))},
    ).wait_ready() as served:
        assert served.address == f"http://0.0.0.0:{port}"
        assert served.client().get() == "it serves"
