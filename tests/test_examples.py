"""Examples, served with the command in their first lines."""

import json
import signal
from pathlib import Path
from urllib.request import Request, urlopen

import httpx
import pytest

from tests.support.corn_process import Served

EXAMPLES = Path(__file__).parent.parent / "examples"
DEADLINE = 20


@pytest.fixture
def serve():
    """`serve("name:app")` serves an example with 2 workers; it must stop cleanly after the test."""
    running = []

    def start(application, **environment):
        options = ("--app-dir", "examples", "--workers", "2", "--port", "0")
        served = Served(EXAMPLES.parent, application, *options, **environment)
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


def test_hello_example_answers(serve):
    kind, body = ask(serve("hello:app"), "/")
    assert kind == "text/plain; charset=utf-8"
    assert body.startswith("Hello from corn, worker ")


def test_starlette_example_answers(serve):
    served = serve("starlette_app:app")
    assert set(json.loads(ask(served, "/")[1])) == {"worker", "started"}
    assert ask(served, "/total", [1, 2, 3.5]) == ("application/json", '{"total":6.5}')
    kind, ticks = ask(served, "/clock/3")
    assert kind.startswith("text/plain")
    assert sorted(ticks.split()) == ticks.split()
    assert len(ticks.split()) == 3


def test_fastapi_example_answers(serve):
    served = serve("fastapi_app:app")
    assert json.loads(ask(served, "/")[1])["items"] == 2
    assert ask(served, "/orders", {"item": "corn", "count": 4}) == ("application/json", '{"total":2.0}')
    kind, table = ask(served, "/prices.csv")
    assert kind.startswith("text/csv")
    assert table == "corn,0.5\nbeans,1.25\n"


def test_flask_example_answers(serve):
    served = serve("flask_app:app")
    with httpx.Client(base_url=served.address, trust_env=False, timeout=DEADLINE) as client:
        assert client.get("/").json()["client"] == "127.0.0.1"
        lines = client.post("/count", files={"file": ("poem.txt", b"one\ntwo\nthree")})
        assert lines.json() == {"name": "poem.txt", "lines": 3}
        assert client.get("/squares/3.csv").text == "0,0\n1,1\n2,4\n"
        assert client.get("/source").content == (EXAMPLES / "flask_app.py").read_bytes()


def test_django_example_answers(serve, tmp_path):
    served = serve("django_app:app", DATABASE=str(tmp_path / "visits.sqlite3"))
    assert ask(served, "/")[1].startswith("Hello from Django ")
    visits = [json.loads(ask(served, "/visit")[1]) for _ in range(3)]
    assert [each["visits"] for each in visits] == [1, 2, 3]
    assert "not safe to fork" not in served.output


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_example_names_its_command_and_has_test(path):
    assert f"corn serve {path.stem}:app --app-dir examples" in path.read_text()
    tests = Path(__file__).parent.rglob("test_*.py")
    assert any(f'"{path.stem}:app"' in test.read_text() for test in tests)
