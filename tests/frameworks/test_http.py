"""Sites of each framework over HTTP, with httpx and curl."""

import hashlib
import json
import os
import subprocess

import httpx
import pytest

from tests.support.framework_sites import APPS

TIMEOUT = 20


@pytest.fixture(params=["HTTP/1.1", "HTTP/2"])
def version(request):
    return request.param


@pytest.fixture
def client(served, version):
    is_2 = version == "HTTP/2"
    options = {"http1": not is_2, "http2": is_2, "verify": False}  # the authorities, which take 20 ms, are not used
    with httpx.Client(base_url=served.address, timeout=TIMEOUT, trust_env=False, **options) as client:
        yield client


def test_framework_is_preloaded_when_safe(served):
    preload = served.site.preload
    served.wait_for(rf"serves {served.site.app} at .*preload {preload}\)")
    assert ("not safe to fork" in served.output) == (preload != "app")


def test_text_and_cookies_are_sent(served, client, version):
    answer = client.get("/")
    assert (answer.status_code, answer.text) == (200, f"hello from {served.site.greets}")
    assert answer.http_version == version
    assert answer.headers["content-type"].startswith("text/plain")
    assert dict(answer.cookies) == {"one": "1", "two": "2"}


def test_path_query_and_json_are_read(client):
    assert client.get("/items/42", params={"q": "corn"}).json() == {"item": 42, "q": "corn"}
    value = {"text": "maïs", "list": [1, 2.5, None]}
    assert client.post("/echo", json=value).json() == value


def test_head_and_unknown_path_get_their_status(client):
    answer = client.head("/items/42", params={"q": "corn"})
    assert (answer.status_code, answer.content) in ((200, b""), (405, b""))  # FastAPI and Litestar want it declared
    assert client.get("/nowhere").status_code == 404
    assert client.get("/items/42", params={"q": "corn"}).status_code == 200


def test_stream_arrives_in_parts(client):
    with client.stream("GET", "/stream") as answer:
        assert "".join(answer.iter_text()) == "tick 0\ntick 1\ntick 2\n"


def test_file_is_served(served, client):
    answer = client.get("/file")
    assert answer.content == (APPS / served.site.app.split(":")[0]).with_suffix(".py").read_bytes()
    assert answer.headers["content-length"] == str(len(answer.content))


def test_upload_is_received(client):
    content = os.urandom(8 << 20)
    answer = client.post("/upload", files={"file": ("seed.bin", content)})
    assert answer.json() == {"name": "seed.bin", "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def test_upload_with_expect_by_curl_is_received(served, program, tmp_path):
    content = os.urandom(2 << 20)
    (tmp_path / "seed.bin").write_bytes(content)
    file = f"file=@{tmp_path / 'seed.bin'}"
    command = [program("curl"), "-sS", "--fail", "-H", "Expect: 100-continue", "-F", file, served.address + "/upload"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=TIMEOUT, check=True)
    assert json.loads(done.stdout)["sha256"] == hashlib.sha256(content).hexdigest()


def test_application_exception_gets_500_and_is_logged(served, client):
    since = served.mark()
    assert client.get("/fail").status_code == 500
    if served.site.greets != "litestar":  # it does not log exceptions by default
        served.wait_for("ValueError: broken on purpose", since=since)
    assert client.get("/").status_code == 200


def test_background_task_runs_after_response(served, client):
    since = served.mark()
    assert client.get("/later").text == "now"
    served.wait_for(f"{served.site.greets}: later", since=since)


def test_lifespan_has_run(served, client):
    if not served.site.has_lifespan:
        pytest.skip("the framework has no lifespan")
    assert client.get("/started").text == "by its lifespan"


def test_disconnected_readers_release_endless_streams(served, client):
    """Twenty streams, so that leaked threads or tasks would exhaust the worker."""
    if not served.site.is_asgi:
        pytest.skip("the WSGI sites have no endless stream")
    for _ in range(20):
        with client.stream("GET", "/events") as answer:
            assert next(answer.iter_lines()) == "data: event 0"
    assert client.get("/").status_code == 200
