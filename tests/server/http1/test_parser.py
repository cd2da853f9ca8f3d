"""Cache of parsed header fields on a keep-alive connection."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corn.server.http.errors import HTTPError
from corn.server.http.head import RequestHead
from corn.server.http1 import parser
from corn.server.http1.parser import FieldNames, PreviousHead, RepeatedFields, parse_head
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


DEFAULTS = {name: value for name, value in vars(RequestHead).items() if name in RequestHead.__annotations__}


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
    repeated = RepeatedFields.of(head)
    head.headers.append((b"the application's own", b""))
    again = repeated.after(second) if repeated is not None else None
    if again is not None:
        expected = read(second, block)
        if b"\x00" in second:  # the target is looked at when the scope is made
            assert expected == 400
        else:
            unset = {"forwarded_at": ()}  # an unusual head does not know the places
            options = {"options": expected["options"]} if "options" in expected else {}
            assert DEFAULTS | unset | vars(again) | options == DEFAULTS | unset | expected


@pytest.mark.parametrize("field", [b"Content-Length: 3", b"Content-Length: 0", b"X-A: b"])
def test_repeated_length_is_that_of_each_body(field):
    previous, data = PreviousHead(), b"POST /%d HTTP/1.1\r\nHost: x\r\n" + field
    for number in range(4):
        head = previous.parse_next(data % number, len(data % number), 100)
        assert (head.method, head.target) == ("POST", b"/%d" % number)
        assert (head.length, head.has_length) == (3 * field.endswith(b"3"), field.startswith(b"C"))


BROWSER = b"".join(
    b"\r\n%b: %%d" % name for name in (b"Host", b"Accept", b"X-Forwarded-For", b"Cookie", b"X-Forwarded-Proto", b"A.b")
)


def next_heads(heads):
    """Outcomes of heads that follow each other on a connection, and in the end the compiled names."""
    previous, outcomes = PreviousHead(), []
    for head in heads:
        try:
            parsed = vars(previous.parse_next(head + b"\r\n\r\n", len(head), 100))
        except HTTPError as refusal:
            parsed = refusal.status
        outcomes.append(parsed)
    return outcomes, previous


def browser_head(number):
    return b"GET /%d HTTP/1.1" % number + BROWSER % ((number,) * 6)


def test_names_that_repeat_are_read_by_compiled_pattern():
    outcomes, previous = next_heads([browser_head(number) for number in range(40)])
    assert previous._names.pattern is not None
    for number, head in enumerate(outcomes):
        fields = [b"host", b"accept", b"x-forwarded-for", b"cookie", b"x-forwarded-proto", b"a.b"]
        assert head["headers"] == [(name, b"%d" % number) for name in fields]
        assert head["target"] == b"/%d" % number
        assert (head["host"], head["forwarded_at"]) == (b"%d" % number, (2, 4))


@pytest.mark.parametrize(
    "head",
    [
        browser_head(1).replace(b"Cookie", b"cookie"),
        browser_head(1).replace(b": 1", b":1"),
        browser_head(1).replace(b": 1", b": \t 1 \t"),
        browser_head(1).replace(b": 1", b":"),
        browser_head(1).replace(b": 1", b" : 1"),
        browser_head(1).replace(b"Accept: 1", b"Accept: a\rb"),
        browser_head(1).replace(b"Accept: 1", b"Accept: a\nb"),
        browser_head(1).replace(b"Accept: 1", b"Accept: a\r\n b"),
        browser_head(1).replace(b"Accept: 1", b"Accept: a\x00"),
        browser_head(1).replace(b"Accept: 1\r\n", b"Accept: 1\n"),
        browser_head(1).replace(b"Accept: 1\r\n", b"Accept: 1\n\r"),
        browser_head(1).replace(b"Host: 1", b"Host: [1"),
        browser_head(1).replace(b"A.b", b"Axb"),
        browser_head(1).replace(b"GET", b"BREW"),
        browser_head(1).replace(b"1.1", b"1.0"),
        browser_head(1) + b"\r\nCookie: 2",
        browser_head(1) + b"\r\n",
        browser_head(1).rpartition(b"\r\n")[0],
    ],
)
def test_head_unlike_previous_ones_is_read_as_alone(head):
    outcomes, _ = next_heads([*(browser_head(number) for number in range(40)), head, browser_head(41)])
    assert outcomes[-2] == read(b"", head)
    assert outcomes[-1] == read(b"", browser_head(41))


def test_patterns_are_compiled_for_limited_number_of_names(monkeypatch):
    monkeypatch.setattr(parser, "_names", {})
    monkeypatch.setattr(parser, "_MAX_PATTERNS", 3)
    monkeypatch.setattr(parser, "_MAX_NAMES", 10)
    for number in range(50):
        next_heads([b"GET / HTTP/1.1\r\nHost: x\r\nA%d: %d" % (number, each) for each in range(20)])
    assert len(parser._names) <= 10
    assert sum(each.pattern is not None for each in parser._names.values()) == 3


def test_pattern_is_not_compiled_for_many_fields():
    names = FieldNames(tuple(b"A%d" % number for number in range(60)))
    for _ in range(100):
        names.count_use()
    assert names.pattern is None


def recording(seen):
    """Application that records path and headers of each request, and changes the headers of its scope."""

    async def app(scope, receive, send):
        seen.append((scope["path"], list(scope["headers"])))
        scope["headers"].clear()
        await hello(scope, receive, send)

    return app


def test_repeated_fields_with_new_target_give_correct_scope(run):
    seen = []

    async def main():
        async with serving(recording(seen)) as at:
            peer = await at.connect()
            for path in (b"/a", b"/b", b"/c", b"/%20", b"/d"):
                await peer.request(b"GET " + path + b" HTTP/1.1\r\nHost: x\r\nCookie: a=b\r\n\r\n")
            return (await peer.request(b"GET /\x00 HTTP/1.1\r\nHost: x\r\nCookie: a=b\r\n\r\n")).status

    assert run(main()) == 400
    assert [path for path, _ in seen] == ["/a", "/b", "/c", "/ ", "/d"]
    assert all(headers == [(b"host", b"x"), (b"cookie", b"a=b")] for _, headers in seen)


def test_first_head_of_next_connection_is_served_alike(run):
    seen = []

    async def main():
        async with serving(recording(seen)) as at:
            for path in (b"/a", b"/b", b"/c", b"/d"):
                peer = await at.connect(b"GET " + path + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                assert (await peer.answer()).headers["connection"] == "close"
                assert await peer.is_closed()
            kept = await at.connect()
            for _ in range(2):
                assert "connection" not in (await kept.request(b"GET /e HTTP/1.1\r\nHost: y\r\n\r\n")).headers

    run(main())
    closing = [(b"host", b"x"), (b"connection", b"close")]
    assert seen == [*((path, closing) for path in ("/a", "/b", "/c", "/d")), *[("/e", [(b"host", b"y")])] * 2]


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
