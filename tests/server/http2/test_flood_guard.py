"""Flood guard: a connection that floods is closed with ENHANCE_YOUR_CALM, and other connections are unaffected."""

import asyncio
import struct
import tracemalloc

import pytest
from h2.errors import ErrorCodes
from hpack import Encoder

from corn.server.http2 import frames, request_head
from corn.server.http2.field_decoder import FieldDecoder
from corn.server.http2.flood_guard import MAX_BUDGET, PER_SECOND, FloodGuard
from corn.server.http2.frames import ErrorCode, HTTP2ConnectionError
from corn.server.http2.request_head import read_head
from tests.support.asgi_server import hello, serving, until
from tests.support.http2_peer import GET, POST, connect

HEAD = b"\x82\x86\x84\x41\x01x"  # GET / http x
CALM = ErrorCodes.ENHANCE_YOUR_CALM


def rapid_reset(at):
    number = 3 + 2 * at
    return frames.frame(frames.HEADERS, 5, number, HEAD) + frames.reset(number, ErrorCode.CANCEL)


def made_you_reset(at):
    number = 3 + 2 * at
    return frames.frame(frames.HEADERS, 5, number, HEAD) + frames.window_update(number, 0)


def refused_streams(at):
    return frames.frame(frames.HEADERS, 5, 3 + 2 * at, HEAD + b"\x40\x01X\x01x")


def too_many_fields(at):
    """Request refused with 431; each byte of the block is a field of the static table."""
    return frames.frame(frames.HEADERS, 5, 3 + 2 * at, HEAD + b"\x90" * 1500)


def end_of_a_reset_stream(at):
    return (made_you_reset(0) if at == 0 else b"") + frames.frame(frames.DATA, frames.END_STREAM, 3, b"")


def trailers_of_a_reset_stream(at):
    return (made_you_reset(0) if at == 0 else b"") + frames.frame(frames.HEADERS, 5, 3, b"\x90" * 20)


FLOODS = {
    "rapid reset": rapid_reset,
    "made you reset": made_you_reset,
    "malformed requests": refused_streams,
    "pings": lambda _: frames.frame(frames.PING, 0, 0, b"x" * 8),
    "settings": lambda _: frames.frame(frames.SETTINGS, 0, 0, struct.pack("!HL", 4, 65535)),
    "empty settings": lambda _: frames.frame(frames.SETTINGS, 0, 0, b""),
    "window updates": lambda _: frames.window_update(0, 1),
    "window updates of a stream": lambda _: frames.window_update(1, 1),
    "resets of a closed stream": lambda _: frames.reset(1, ErrorCode.CANCEL),
    "priorities": lambda _: frames.frame(frames.PRIORITY, 0, 1, b"\0\0\0\0\0"),
    "unknown frames": lambda _: frames.frame(0x42, 0, 0, b""),
    "empty data": lambda _: frames.frame(frames.DATA, 0, 1, b""),
    "padding": lambda _: frames.frame(frames.DATA, frames.PADDED, 1, b"\x03\0\0\0"),
    "data on a closed stream": lambda at: frames.frame(frames.DATA, 0, 1, b"") if at else b"",
    "acknowledged settings": lambda _: frames.frame(frames.SETTINGS, frames.ACK, 0, b""),
    "goaways": lambda _: frames.goaway(0, ErrorCode.NO_ERROR),
    "too many fields": too_many_fields,
    "ends of a reset stream": end_of_a_reset_stream,
    "trailers of a reset stream": trailers_of_a_reset_stream,
}


class Endless(FloodGuard):
    """Flood guard that never trips, for floods that another limit ends."""

    def spend(self, amount, now):
        pass


async def flood(client, one):
    """Send frames until the server closes the connection; returns the error code."""
    client.h2.receive_data = lambda data: []  # the library would reject the responses to invalid frames
    received = []

    async def read():
        while data := await client.peer.reader.read(65536):
            received.append(data)

    async def write():
        for at in range(0, 5000, 50):
            await client.peer.send(b"".join(one(each) for each in range(at, at + 50)))
            await asyncio.sleep(0)

    _, wrote = await asyncio.gather(read(), write(), return_exceptions=True)
    assert wrote is None or isinstance(wrote, (ConnectionError, RuntimeError))  # uvloop: the handle is closed
    data = b"".join(received)
    return struct.unpack("!L", data[data.index(b"too many frames") - 4 : data.index(b"too many frames")])[0]


@pytest.mark.parametrize("one", FLOODS.values(), ids=FLOODS)
def test_flood_closes_its_connection_only(run, one):
    """The application never responds, so the guard's budget is not refilled."""
    running = []

    async def app(scope, receive, send):
        if scope["path"] == "/other":
            await hello(scope, receive, send)
            return
        running.append(1)
        try:
            while (await receive())["type"] != "http.disconnect":
                pass
        finally:
            running.pop()

    async def main():
        async with serving(app) as at:
            client, other = await connect(at), await connect(at)
            await client.begin(POST, end=False)
            request = (*GET[:2], (":path", "/other"), GET[3])
            flooding = asyncio.ensure_future(flood(client, one))
            while not flooding.done():
                assert (await other.request(request)).status == 200
                await asyncio.sleep(0.01)
            assert await flooding == CALM
            await until(lambda: not running)
            assert (await other.request(request)).status == 200

    run(main())


def test_reset_stream_with_running_application_counts_as_open(run):
    """Resets do not raise the number of concurrent application calls beyond the limit."""
    running, most = [], []
    may_respond = asyncio.Event()

    async def app(scope, receive, send):
        running.append(1)
        most.append(len(running))
        await may_respond.wait()
        running.pop()

    async def main():
        async with serving(app, http2_max_concurrent_streams=10) as at:
            client = await connect(at)
            for each in range(40):
                await client.peer.send(rapid_reset(each))
            await client.peer.send(frames.frame(frames.PING, 0, 0, b"all sent"))
            await client.peer.reader.readuntil(b"all sent")
            assert max(most) == 10
            may_respond.set()
            await until(lambda: not running)
            assert at.server._service.running == set()

    run(main())


def test_stream_beyond_limit_is_refused(run):
    async def app(scope, receive, send):
        await receive()
        await asyncio.sleep(0.05)
        await hello(scope, receive, send)

    async def main():
        async with serving(app, http2_max_concurrent_streams=2) as at:
            client = await connect(at)
            assert client.settings[3] == 2
            client.h2.remote_settings.max_concurrent_streams = 100
            client.h2.remote_settings.acknowledge()
            streams = [await client.begin() for _ in range(3)]
            responses = [await client.response(each) for each in streams]
            assert [each.reset for each in responses] == [None, None, ErrorCodes.REFUSED_STREAM]
            assert (await client.request()).status == 200

    run(main())


@pytest.mark.parametrize("size", [0, 1, 16000])
def test_endless_header_block_closes_connection(run, size):
    """CONTINUATION flood with empty, small and large frames."""

    async def main():
        async with serving(hello) as at:
            client, other = await connect(at), await connect(at)
            await client.peer.send(frames.frame(frames.HEADERS, 1, 1, HEAD))
            client.h2.receive_data = lambda data: received.append(data) or []
            received = []

            async def write():
                for _ in range(1000):
                    await client.raw(frames.CONTINUATION, 0, 1, b"\0" * size)
                    await asyncio.sleep(0)

            writing = asyncio.ensure_future(write())
            await client.wait_closed()
            await writing
            assert b"a header block is too large" in b"".join(received)
            assert (await other.request()).status == 200

    run(main())


def test_hpack_bomb_closes_connection(run):
    """HPACK bomb: a large field in the dynamic table, and many references to it."""

    async def main():
        async with serving(hello) as at:
            client, other = await connect(at), await connect(at)
            block = Encoder().encode([(b"x-bomb", b"b" * 3900)])
            await client.peer.send(frames.frame(frames.HEADERS, 5, 1, HEAD + block + b"\xbe" * 1000))
            assert await client.wait_closed() == CALM
            assert (await other.request()).status == 200

    run(main())


def test_header_timeout_in_continuation_closes_connection(run):
    async def main():
        async with serving(hello, timeout_header=0.6) as at:
            client = await connect(at)
            await client.peer.send(frames.frame(frames.HEADERS, 1, 1, HEAD))
            for _ in range(3):
                await asyncio.sleep(0.1)
                await client.raw(frames.CONTINUATION, 0, 1, b"")
            await client.wait_closed()

    run(main())


def test_body_timeout_gets_408(run):
    async def app(scope, receive, send):
        while (await receive())["type"] != "http.disconnect":
            pass

    async def main():
        async with serving(app, timeout_body=0.6) as at:
            client = await connect(at)
            stream = await client.begin(POST, end=False)
            await client.data(stream, b"abc")
            assert (await client.response(stream)).status == 408
            await until(lambda: not at.server._service.running)

    run(main())


@pytest.mark.parametrize("window", ["stream", "connection", "socket"])
def test_send_timeout_resets_stream_or_closes_connection(run, window):
    """An exhausted stream window resets only the stream; the others close the connection."""
    seen = []

    async def app(scope, receive, send):
        if scope["path"] == "/other":
            await hello(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 200})
        try:
            while True:
                await send({"type": "http.response.body", "body": b"x" * 100_000, "more_body": True})
        except OSError as error:
            seen.append(error)

    async def main():
        async with serving(app, timeout_send=0.6) as at:
            client = await connect(at, takes=False)
            if window != "connection":
                client.h2.increment_flow_control_window(1 << 30)
            stream = await client.begin()
            if window == "socket":
                client.h2.increment_flow_control_window(1 << 30, stream)
                await client.flush()
                await until(lambda: seen)
                return
            assert (await client.response(stream)).reset == ErrorCodes.CANCEL
            await until(lambda: seen)
            if window == "stream":
                assert (await client.request((*GET[:2], (":path", "/other"), GET[3]))).status == 200

    run(main())


def test_unread_ping_acks_pause_reading(run):
    async def main():
        async with serving(hello, timeout_send=0.6) as at:
            client = await connect(at)
            connection = next(iter(at.server._service.connections))
            connection.guard = Endless(0.0)
            client.peer.writer.transport.set_write_buffer_limits(1 << 20)
            pings = frames.frame(frames.PING, 0, 0, b"x" * 8) * 5000

            async def write():
                while True:
                    await client.peer.send(pings)

            writing = asyncio.ensure_future(write())
            await until(lambda: connection.write_paused)
            assert not connection.transport.is_reading()
            await until(lambda: connection not in at.server._service.connections)
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)

    run(main())


def test_busy_client_does_not_trip_guard(run):
    """3,000 requests, with as many resets as responses, pings and window updates."""

    async def main():
        async with serving(hello) as at:
            client = await connect(at)
            for _ in range(300):
                streams = [await client.begin() for _ in range(10)]
                for stream in streams[5:]:
                    client.h2.reset_stream(stream)
                client.h2.increment_flow_control_window(100)
                client.h2.ping(b"x" * 8)
                await client.flush()
                for stream in streams[:5]:
                    assert (await client.response(stream)).status == 200

    run(main())


def test_one_byte_window_updates_trip_guard(run):
    """Frames that the window cut short do not refill the budget."""

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"x" * 100_000})

    async def main():
        async with serving(app) as at:
            client, other = await connect(at), await connect(at)
            settings = struct.pack("!HL", 4, 0)
            await client.peer.send(frames.frame(frames.SETTINGS, 0, 0, settings))
            await client.peer.send(frames.frame(frames.HEADERS, 5, 1, HEAD))
            assert await flood(client, lambda _: frames.window_update(1, 1)) == CALM
            assert (await other.request()).status == 200

    run(main())


@pytest.mark.parametrize("refused", [False, True], ids=["served", "refused"])
def test_header_block_cache_is_bounded(refused):
    """A block of references decodes to a thousand times its size, so the cache of blocks must be bounded."""
    decoder = FieldDecoder(2 * 65536)
    decoder.decode(Encoder().encode([(b"x-first", b"1"), (b"x-second", b"2")]))
    blocks = [bytes([0x82, *(0xBE + (index >> bit & 1) for bit in range(10))]) for index in range(64)]
    if refused:
        blocks = [block + b"\xbe" * 3000 for block in blocks]
    tracemalloc.start()
    try:
        for block in blocks:
            decoder.decode(block)
        assert tracemalloc.get_traced_memory()[0] < 150_000
    finally:
        tracemalloc.stop()


def test_long_authority_is_not_cached():
    """The cache outlives its connection and is bounded by number, so it must not hold long values."""
    for number in range(50):
        authority = b"x%d.example" % number + b"x" * 10_000
        fields = [(b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/"), (b":authority", authority)]
        assert read_head(fields, limit_size=65536, limit_count=100, ends=True).host == authority
    assert max(map(len, request_head._authorities)) < 1000


# Without a server


def test_guard_trips_at_budget_and_refills_with_time():
    guard = FloodGuard(0.0)
    for _ in range(MAX_BUDGET):
        guard.spend(1, 0.0)
    with pytest.raises(HTTP2ConnectionError) as raised:
        guard.spend(1, 0.0)
    assert raised.value.code == ErrorCode.ENHANCE_YOUR_CALM
    guard = FloodGuard(0.0)
    for second in range(100):
        for _ in range(PER_SECOND):
            guard.spend(1, float(second))


def test_guard_budget_is_capped():
    guard = FloodGuard(0.0)
    guard.earn(10 * MAX_BUDGET)
    with pytest.raises(HTTP2ConnectionError):
        for _ in range(MAX_BUDGET + 1):
            guard.spend(1, 0.0)
