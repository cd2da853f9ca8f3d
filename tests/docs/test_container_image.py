"""Recipes of container images: their steps are run without a container, in the environment that has the wheel."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import signal
import urllib.request

import pytest

from tests.support.corn_process import Served
from tests.support.doc_session import ROOT, blocks_of
from tests.support.free_ports import free_ports

RECIPE = ROOT / "examples" / "deploy" / "Dockerfile"
PAGE = ROOT / "docs" / "how-to" / "deploy-containers.md"
APP = """
async def app(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})
"""


def steps(text: str) -> list[tuple[str, str]]:
    """Instructions of a Dockerfile with their arguments."""
    lines = [line for line in text.replace("\\\n", " ").splitlines() if line.strip() and not line.startswith("#")]
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines)]


def last_stage(text: str) -> list[tuple[str, str]]:
    found = steps(text)
    start = max(number for number, (word, _) in enumerate(found) if word == "FROM")
    return found[start + 1 :]


def variables(stage: list[tuple[str, str]]) -> dict[str, str]:
    words = [word for instruction, rest in stage if instruction == "ENV" for word in shlex.split(rest)]
    return dict(word.split("=", 1) for word in words)


def recipe_of_page() -> str:
    return next(block.text for block in blocks_of(PAGE) if block.language == "dockerfile")


@pytest.mark.parametrize("text", [RECIPE.read_text(), recipe_of_page()], ids=["examples", "page"])
def test_image_command_serves_and_stops_on_sigterm(text, bin_directory, tmp_path):
    stage = last_stage(text)
    (tmp_path / "main.py").write_text(APP)
    for source in re.findall(r"examples/\S+", " ".join(rest for word, rest in stage if word == "COPY")):
        shutil.copy(ROOT / source, tmp_path)
    (port,) = free_ports(1)
    environment = variables(stage) | {"PATH": f"{bin_directory}:/usr/bin:/bin", "CORN_CONTROL": str(tmp_path)}
    assert environment["CORN_BIND"] == "0.0.0.0:8000"
    environment["CORN_BIND"] = f"127.0.0.1:{port}"
    command = json.loads(dict(stage)["CMD"])
    command[0] = str(bin_directory / command[0])
    with Served(tmp_path, program=command, **environment).wait_ready() as served:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=20) as answer:
            assert answer.status == 200
        served.signal(signal.SIGTERM)
        assert served.wait_exit() == 0, served.output


@pytest.mark.parametrize("text", [RECIPE.read_text(), recipe_of_page()], ids=["examples", "page"])
def test_image_runs_as_numbered_user_and_gets_signals(text):
    stage = last_stage(text)
    assert int(dict(stage)["USER"]) > 0, "Kubernetes' runAsNonRoot needs a number"
    assert dict(stage)["EXPOSE"] == "8000"
    assert json.loads(dict(stage)["CMD"])[:2] == ["corn", "serve"], "a shell would be process 1"


def test_image_recipe_copies_files_that_exist():
    for word, rest in steps(RECIPE.read_text()):
        if word == "COPY" and not rest.startswith("--from"):
            *sources, _ = rest.split()
            assert all((ROOT / source).exists() for source in sources), rest


def test_image_recipe_installs_as_pip_does_from_checkout():
    builds = [rest for word, rest in steps(RECIPE.read_text()) if word == "RUN" and "pip install" in rest]
    assert builds == ["python -m venv /venv && /venv/bin/pip install --no-cache-dir ."]
