"""X-Request-ID: one name for a request, whoever gave it."""

import json
import re

from tests.support.asgi_server import serving

NEW = r"[0-9a-f]{32}"


async def app(scope, receive, send):
    names = [value for name, value in scope["headers"] if name == b"x-request-id"]
    if scope["path"] == "/boom":
        raise ValueError("oops")
    headers = [(b"X-Request-Id", b"mine")] if scope["path"] == "/own" else []
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b",".join(names)})


def get(path="/", *fields):
    return f"GET {path} HTTP/1.1\r\nHost: a\r\n{''.join(field + chr(13) + chr(10) for field in fields)}\r\n".encode()


def test_each_request_gets_a_name_of_its_own_also_on_one_connection(run):
    async def test():
        async with serving(app, request_id=True) as at:
            peer = await at.connect()
            answers = [await peer.request(get()) for _ in range(4)]
            for answer in answers:
                assert re.fullmatch(NEW, answer.headers["x-request-id"])
                assert answer.body.decode() == answer.headers["x-request-id"]
            assert len({answer.body for answer in answers}) == 4

    run(test())


def test_a_trusted_peers_name_is_kept_and_no_others(run):
    async def test():
        async with serving(app, request_id=True, forwarded_allow_ips=("127.0.0.1",)) as at:
            answer = await at.request(get("/", "X-Request-ID: abc-123"))
            assert (answer.headers["x-request-id"], answer.body) == ("abc-123", b"abc-123")
            for fields in (
                ["X-Request-ID: a b"],
                ["X-Request-ID: a", "X-Request-ID: b"],
                ["X-Request-ID: " + "x" * 200],
            ):
                answer = await at.request(get("/", *fields))
                assert re.fullmatch(NEW, answer.body.decode())
        async with serving(app, request_id=True, forwarded_allow_ips=("10.0.0.1",)) as at:
            assert re.fullmatch(NEW, (await at.request(get("/", "X-Request-ID: abc"))).body.decode())

    run(test())


def test_the_applications_own_name_stands_and_an_error_has_one(run):
    async def test():
        async with serving(app, request_id=True) as at:
            assert (await at.request(get("/own"))).headers["x-request-id"] == "mine"
            answer = await at.request(get("/boom"))
            assert answer.status == 500
            assert re.fullmatch(NEW, answer.headers["x-request-id"])

    run(test())


def test_the_access_log_names_the_request(run, tmp_path):
    async def test():
        path = tmp_path / "log"
        options = {"access_log": True, "access_log_file": str(path), "log_format": "json"}
        async with serving(app, request_id=True, **options) as at:
            answer = await at.request(get())
        assert json.loads(path.read_text())["request_id"] == answer.headers["x-request-id"]

    run(test())


def test_without_the_option_nothing_is_touched(run):
    async def test():
        async with serving(app) as at:
            answer = await at.request(get("/", "X-Request-ID: abc"))
            assert answer.body == b"abc"
            assert "x-request-id" not in answer.headers

    run(test())
