"""Cache of parsed header fields on a keep-alive connection, and the encoder of response fields."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corn.server.http.errors import HTTPError
from corn.server.http.response_fields import encode_fields
from corn.server.http1.parser import RepeatedFields, parse_head
from tests.support.asgi_server import hello, serving

LINES = st.sampled_from(
    [
        b"GET / HTTP/1.1",
        b"POST /a?b HTTP/1.1",
        b"GET / HTTP/1.0",
        b"HEAD / HTTP/1.1",
        b"get / HTTP/1.1",
        b"GET  / HTTP/1.1",
        b"GET http://x/ HTTP/1.1",
        b"GET /\x00 HTTP/1.1",
        b"GET / HTTP/2.0",
        b"CONNECT x:1 HTTP/1.1",
        b"OPTIONS * HTTP/1.1",
        b"GET /",
    ]
)
FIELDS = st.lists(
    st.sampled_from(
        [
            b"Host: a",
            b"Accept: */*",
            b"Cookie: s=1",
            b"Connection: keep-alive",
            b"Connection: close",
            b"TE: trailers",
            b"Upgrade: websocket",
            b"Content-Length: 3",
            b"Expect: 100-continue",
            b"X-Forwarded-For: 1.2.3.4",
            b"host: b",
            b"Transfer-Encoding: chunked",
            b"X: \x00",
            b" folded",
        ]
    ),
    max_size=5,
)


def read(line, block):
    try:
        return vars(parse_head(line + block, 100))
    except HTTPError as refusal:
        return refusal.status


@given(LINES, LINES, FIELDS)
def test_repeated_fields_parse_like_first_request(first, second, fields):
    block = b"".join(b"\r\n" + field for field in fields)
    try:
        head = parse_head(first + block, 100)
    except HTTPError:
        return
    repeated = RepeatedFields.of(block, head)
    head.headers.append((b"the application's own", b""))
    again = repeated.after(second) if repeated is not None else None
    if again is not None:
        expected = read(second, block)
        if b"\x00" in second:  # the target is looked at when the scope is made
            assert expected == 400
        else:
            options = {"options": expected["options"]} if "options" in expected else {}
            assert vars(again) | options == expected


def test_repeated_fields_with_new_target_give_correct_scope(run):
    seen = []

    async def app(scope, receive, send):
        seen.append((scope["path"], list(scope["headers"])))
        scope["headers"].clear()
        await hello(scope, receive, send)

    async def main():
        async with serving(app) as at:
            peer = await at.connect()
            for path in (b"/a", b"/b", b"/c", b"/%20", b"/d"):
                await peer.request(b"GET " + path + b" HTTP/1.1\r\nHost: x\r\nCookie: a=b\r\n\r\n")
            return (await peer.request(b"GET /\x00 HTTP/1.1\r\nHost: x\r\nCookie: a=b\r\n\r\n")).status

    assert run(main()) == 400
    assert [path for path, _ in seen] == ["/a", "/b", "/c", "/ ", "/d"]
    assert all(headers == [(b"host", b"x"), (b"cookie", b"a=b")] for _, headers in seen)


@pytest.mark.parametrize("kind", [tuple, list])
def test_response_fields_are_validated_on_every_call(kind):
    good, bad = [kind((b"a", b"1"))], [kind((b"a", b"1\n"))]
    for _ in range(3):
        assert encode_fields(good) == (b"a: 1\r\n", -1, 0)
        assert encode_fields(iter(good)) == (b"a: 1\r\n", -1, 0)
        with pytest.raises(ValueError, match="control byte"):
            encode_fields(bad)
        with pytest.raises(TypeError, match="pairs of bytes"):
            encode_fields([kind(("a", "1"))])


def test_request_tasks_use_loop_task_factory(run):
    made = []

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            loop = asyncio.get_running_loop()
            loop.set_task_factory(lambda loop, coro, **kwargs: made.append(coro) or asyncio.Task(coro, loop=loop))
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
        else:
            await hello(scope, receive, send)

    async def main():
        async with serving(app, lifespan="on") as at:
            await at.request(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")

    run(main())
    assert any(each.__qualname__.endswith("Cycle.run") for each in made)
