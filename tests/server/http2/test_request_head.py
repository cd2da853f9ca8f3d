"""Request heads of HTTP/2: rules of pseudo-header fields and fields, and heads that are repeated."""

import pytest

from corn.server.http.errors import HTTPError
from corn.server.http2 import request_head
from corn.server.http2.frames import MalformedRequestError
from corn.server.http2.request_head import HeadReader, read_head, read_trailers
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


def read(*fields, ends=True, size=65536, count=100):
    return read_head(list(fields), limit_size=size, limit_count=count, ends=ends)


def test_split_cookies_are_joined_in_place_of_first_one():
    head = read(*FIELDS, (b"cookie", b"a=1"), (b"x-two", b"2"), (b"cookie", b"b=2"))
    assert head.headers == [(b"host", b"x"), (b"x-one", b"1"), (b"cookie", b"a=1; b=2"), (b"x-two", b"2")]


def test_authority_replaces_host_that_equals_it():
    head = read(*FIELDS, (b"host", b"X"))
    assert (head.host, head.headers) == (b"x", [(b"host", b"x"), (b"x-one", b"1")])


@pytest.mark.parametrize(
    "fields",
    [
        [*FIELDS, (b":path", b"/")],
        [*FIELDS[:3], (b":status", b"200")],
        [*FIELDS, (b"x", b" 1")],
        [*FIELDS, (b"x", b"a\nb")],
        [*FIELDS, (b"X", b"1")],
        [*FIELDS, (b"x y", b"1")],
        [*FIELDS, (b"te", b"gzip")],
        [*FIELDS, (b"upgrade", b"h2c")],
        [*FIELDS, (b"host", b"y")],
        [*FIELDS, (b":protocol", b"websocket")],
        [*FIELDS, (b"content-length", b"1")],
        [*FIELDS, (b"content-length", b"x")],
        [*FIELDS[:2], (b":authority", b"x")],
        [*FIELDS[:2], (b":path", b"*"), (b":authority", b"x")],
        [*FIELDS[:2], (b":path", b"/\xff"), (b":authority", b"x")],
        [*FIELDS[:3], (b":authority", b"")],
        [*FIELDS[:3], (b":authority", b"a b")],
        [*FIELDS[:3], (b"host", b"")],
    ],
)
def test_head_against_rfc_9113_is_malformed(fields):
    with pytest.raises(MalformedRequestError):
        read(*fields)


@pytest.mark.parametrize(
    ("fields", "limits", "status"),
    [
        (FIELDS[:3], {}, 400),
        ([(b":method", b"CONNECT"), (b":authority", b"x")], {}, 501),
        ([(b":method", b"get"), *FIELDS[1:]], {}, 501),
        ([*FIELDS, (b"expect", b"200-ok")], {}, 417),
        ([*FIELDS, (b"x-long", b"a" * 1000)], {"size": 500}, 431),
        ([*FIELDS, *[(b"x-%d" % number, b"") for number in range(4)]], {"count": 4}, 431),
        ([*FIELDS, *[(b"x-%d" % number, b"") for number in range(40)]], {"count": 4}, 431),
    ],
)
def test_head_that_is_not_served_is_refused_with_status(fields, limits, status):
    with pytest.raises(HTTPError) as caught:
        read(*fields, **limits)
    assert caught.value.status == status


def test_trailers_hold_fields_only():
    read_trailers([(b"x-checksum", b"1"), (b"x-checksum", b"2")])
    for field in ((b":path", b"/"), (b"connection", b"close"), (b"X", b"1"), (b"x", b"a\rb")):
        with pytest.raises(MalformedRequestError):
            read_trailers([field])


def test_known_names_and_authorities_are_bounded():
    for number in range(3000):
        read(*FIELDS[:3], (b":authority", b"h%d.example" % number), (b"x-%d" % number, b""))
    assert len(request_head._names) <= request_head._MAX_NAMES
    assert len(request_head._authorities) <= request_head._MAX_NAMES
    assert read(*FIELDS[:3], (b":authority", b"h2999.example")).host == b"h2999.example"
