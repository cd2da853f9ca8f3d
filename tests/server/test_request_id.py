"""X-Request-ID: kept from trusted peers, generated otherwise."""

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


def test_request_id_is_generated_for_each_request(run):
    async def test():
        async with serving(app, request_id=True) as at:
            peer = await at.connect()
            answers = [await peer.request(get()) for _ in range(4)]
            for answer in answers:
                assert re.fullmatch(NEW, answer.headers["x-request-id"])
                assert answer.body.decode() == answer.headers["x-request-id"]
            assert len({answer.body for answer in answers}) == 4

    run(test())


def test_request_id_is_kept_from_trusted_peer_only(run):
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


def test_request_id_of_application_is_kept_and_500_has_one(run):
    async def test():
        async with serving(app, request_id=True) as at:
            assert (await at.request(get("/own"))).headers["x-request-id"] == "mine"
            answer = await at.request(get("/boom"))
            assert answer.status == 500
            assert re.fullmatch(NEW, answer.headers["x-request-id"])

    run(test())


def test_request_id_is_written_to_access_log(run, tmp_path):
    async def test():
        path = tmp_path / "log"
        options = {"access_log": True, "access_log_file": str(path), "log_format": "json"}
        async with serving(app, request_id=True, **options) as at:
            answer = await at.request(get())
        assert json.loads(path.read_text())["request_id"] == answer.headers["x-request-id"]

    run(test())


def test_request_id_disabled_changes_no_headers(run):
    async def test():
        async with serving(app) as at:
            answer = await at.request(get("/", "X-Request-ID: abc"))
            assert answer.body == b"abc"
            assert "x-request-id" not in answer.headers

    run(test())
