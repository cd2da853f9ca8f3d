"""`corn status` and `corn reload` with an instance of corn dev."""

import json

import pytest

from tests.support.control_cli import command
from tests.support.dev_project import Developed, save, source


@pytest.fixture
def served(project, tmp_path):
    sockets = tmp_path / "sockets"
    sockets.mkdir()
    with Developed(project, CORN_CONTROL=str(sockets)).wait_ready() as served:
        served.ask = lambda *arguments: command(sockets, *arguments, "--pid", str(served.pid))
        yield served


def test_status_after_reloads_shows_generation_without_restarts(project, served):
    for number, version in enumerate(("two", "six", "ten"), start=2):
        mark = served.mark()
        save(project / "main.py", source(version))
        served.wait_for("reloaded in", since=mark)
        status = json.loads(served.ask("status", "--json").stdout)
        ready = [each for each in status["workers"] if each["stage"] == "ready"]
        assert status["generation"] == number
        assert [each["generation"] for each in ready] == [number]
        assert [each["restarts"] for each in status["slots"]] == [0]
    assert status["reloads"] == {"done": 3}
    shown = served.ask("status")
    assert "serving, generation 4" in shown.stdout
    assert "restarted" not in shown.stdout


def test_status_of_failing_code_exits_1(project, served):
    save(project / "main.py", "raise ValueError('too bad')")
    served.wait_for("failed to start")
    shown = served.ask("status")
    assert shown.returncode == 1
    assert "degraded (generation 2 failed to start), generation -" in shown.stdout
    assert "too bad" in shown.stdout


def test_reload_wait_returns_when_new_code_serves(project, served):
    done = served.ask("reload", "--wait")
    assert (done.returncode, done.stdout) == (0, "reloaded: generation 2 serves\n")
    assert served.client().get() == "one"


def test_reload_wait_for_failing_code_exits_1(project, tmp_path):
    sockets = tmp_path / "sockets"
    sockets.mkdir()
    with Developed(project, "--no-reload", CORN_CONTROL=str(sockets)).wait_ready() as served:
        save(project / "main.py", "raise ValueError('too bad')")
        done = command(sockets, "reload", "--wait", "--pid", str(served.pid))
        assert done.returncode == 1
        assert "generation 2 failed to start" in done.stderr
