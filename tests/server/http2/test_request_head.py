"""Request heads of HTTP/2 that are repeated."""

import pytest

from corn.server.http2.frames import MalformedRequestError
from corn.server.http2.request_head import HeadReader
from tests.support.asgi_server import hello, serving
from tests.support.http2_peer import GET, connect

FIELDS = [(b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/"), (b":authority", b"x"), (b"x-one", b"1")]


def test_repeated_requests_have_scopes_of_their_own(run):
    seen = []

    async def app(scope, receive, send):
        seen.append((scope["method"], scope["path"], list(scope["headers"])))
        scope["headers"].append((b"x-added", b"by the application"))
        await hello(scope, receive, send)

    async def main():
        async with serving(app) as at:
            client = await connect(at)
            for path in ("/a", "/b"):
                for _ in range(4):
                    assert (await client.request((*GET[:2], (":path", path), GET[3], ("x-one", "1")))).status == 200

    run(main())
    headers = [(b"host", b"x"), (b"x-one", b"1")]
    assert seen == [("GET", "/a", headers)] * 4 + [("GET", "/b", headers)] * 4


def test_head_of_repeated_fields_is_read_anew_where_body_follows():
    reader, fields = HeadReader(65536, 100), [*FIELDS, (b"content-length", b"5")]
    for _ in range(3):
        assert reader.read(fields, ends=False).length == 5
        with pytest.raises(MalformedRequestError):
            reader.read(fields, ends=True)


def test_repeated_malformed_head_is_refused_each_time():
    reader, fields = HeadReader(65536, 100), [*FIELDS, (b"connection", b"close")]
    for _ in range(3):
        with pytest.raises(MalformedRequestError):
            reader.read(fields, ends=True)
