"""Examples of applications: each is served as its corn.toml says. tests/docs runs what their READMEs show."""

import json
import re
import shutil
import signal
from pathlib import Path
from urllib.request import Request, urlopen

import httpx
import pytest

from tests.support.corn_process import Served

EXAMPLES = Path(__file__).parent.parent / "examples"
DEADLINE = 20


@pytest.fixture
def serve(tmp_path):
    """`serve("name")` serves a copy of an example, and ends it at the end of the test, which must be clean."""
    running = []

    def start(name):
        shutil.copytree(EXAMPLES / name, tmp_path, dirs_exist_ok=True)
        served = Served(tmp_path, "--port", "0")
        running.append(served)
        return served.wait_ready()

    yield start
    for served in running:
        with served:
            served.signal(signal.SIGTERM)
            assert served.wait_exit() == 0, served.output


def ask(served, path, value=None):
    """GET, or POST `value` as JSON; returns the answer's content type and body."""
    data = None if value is None else json.dumps(value).encode()
    request = Request(served.address + path, data, {"content-type": "application/json"})
    with urlopen(request, timeout=DEADLINE) as answer:
        return answer.headers["content-type"], answer.read().decode()


def test_hello_example_is_served_from_repository():
    options = ("--app-dir", "examples", "--workers", "2", "--port", "0")
    with Served(EXAMPLES.parent, "hello:app", *options).wait_ready() as served:
        kind, body = ask(served, "/")
    assert kind == "text/plain; charset=utf-8"
    assert body.startswith("Hello from corn, worker ")


def test_starlette_example_streams(serve):
    served = serve("starlette")
    assert set(json.loads(ask(served, "/")[1])) == {"worker", "started"}
    assert ask(served, "/total", [1, 2, 3.5]) == ("application/json", '{"total":6.5}')
    kind, ticks = ask(served, "/clock/3")
    assert kind.startswith("text/plain")
    assert sorted(ticks.split()) == ticks.split()
    assert len(ticks.split()) == 3


def test_fastapi_example_validates_and_streams(serve):
    served = serve("fastapi")
    assert json.loads(ask(served, "/")[1])["items"] == 2
    assert ask(served, "/orders", {"item": "corn", "count": 4}) == ("application/json", '{"total":2.0}')
    kind, table = ask(served, "/prices.csv")
    assert kind.startswith("text/csv")
    assert table == "corn,0.5\nbeans,1.25\n"


def test_flask_example_takes_upload_and_sends_file(serve):
    served = serve("flask")
    with httpx.Client(base_url=served.address, trust_env=False, timeout=DEADLINE) as client:
        assert client.get("/").json()["client"] == "127.0.0.1"
        lines = client.post("/count", files={"file": ("poem.txt", b"one\ntwo\nthree")})
        assert lines.json() == {"name": "poem.txt", "lines": 3}
        assert client.get("/squares/3.csv").text == "0,0\n1,1\n2,4\n"
        assert client.get("/source").content == (EXAMPLES / "flask" / "main.py").read_bytes()


def test_django_example_shares_database(serve):
    served = serve("django")
    assert ask(served, "/")[1].startswith("Hello from Django ")
    visits = [json.loads(ask(served, "/visit")[1]) for _ in range(3)]
    assert [each["visits"] for each in visits] == [1, 2, 3]
    assert "not safe to fork" not in served.output


@pytest.mark.parametrize("project", sorted(EXAMPLES.glob("*/README.md")), ids=lambda path: path.parent.name)
def test_example_has_requirements_and_short_readme(project):
    directory = project.parent
    assert (directory / "corn.toml").exists()
    assert (directory / "requirements.txt").read_text().strip()
    text = project.read_text()
    assert "$ pip install -r requirements.txt" in text
    prose = [line for line in re.sub(r"```.*?```", "", text, flags=re.DOTALL).splitlines() if line.strip()]
    assert len(prose) <= 5, prose
    assert f"]({directory.name}/README.md)" in (EXAMPLES / "README.md").read_text()
