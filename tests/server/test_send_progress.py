"""Slow readers: served as long as they take enough, over each protocol, and cut when they do not."""

import asyncio
import contextlib
import socket
import struct

import pytest

from corn.config import Config
from corn.ipc.scoreboard import Field
from corn.server.http2 import frames
from corn.server.send_progress import SendProgress
from tests.support.asgi_server import Peer, serving, until
from tests.support.websocket_peer import ACCEPT, HANDSHAKE

SIZE = 16 << 20
H2_REQUEST = (
    frames.PREFACE
    + frames.frame(frames.SETTINGS, 0, 0, struct.pack("!HL", 4, (1 << 31) - 1))
    + frames.window_update(0, 1 << 30)
    + frames.frame(frames.HEADERS, 5, 1, b"\x82\x86\x84\x41\x01x")
)
REQUESTS = {
    "http1": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "http1 that is closed": b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    "http2": H2_REQUEST,
    "websocket": HANDSHAKE,
}


async def one_large_message(scope, receive, send):
    if scope["type"] == "websocket":
        await receive()
        await send(ACCEPT)
        await send({"type": "websocket.send", "bytes": bytes(SIZE)})
        while (await receive())["type"] != "websocket.disconnect":
            pass
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % SIZE)]})
    await send({"type": "http.response.body", "body": bytes(SIZE)})


async def slow_peer(at):
    """A client whose kernel buffers little for it."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, at.address)
    reader, writer = await asyncio.open_connection(sock=sock, limit=16384)
    return Peer(reader, writer)


async def read_at(peer, rate, most=SIZE):
    """Read about so many bytes a second; how many came."""
    got, loop = 0, asyncio.get_running_loop()
    begun = loop.time()
    with contextlib.suppress(ConnectionError):
        while got < most:
            data = await asyncio.wait_for(peer.reader.read(65536), 20)
            if not data:
                break
            got += len(data)
            await asyncio.sleep(max(0.0, begun + got / rate - loop.time()))
    return got


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
def test_slow_and_steady_reader_gets_all(run, request_):
    """It takes four times as long as any of the timeouts."""

    async def main():
        async with serving(one_large_message, timeout_send=1, timeout_keep_alive=1, ws_ping_interval=0) as at:
            peer = await slow_peer(at)
            await peer.send(request_)
            assert await read_at(peer, SIZE / 4) >= SIZE
            peer.close()

    run(main())


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
def test_drain_waits_for_a_slow_and_steady_reader(run, request_):
    async def main():
        async with serving(one_large_message, timeout_send=1, timeout_keep_alive=1, ws_ping_interval=0) as at:
            peer = await slow_peer(at)
            await peer.send(request_)
            await peer.reader.readexactly(1000)
            at.server.drain(grace=30, final=True)
            assert await read_at(peer, SIZE / 4, SIZE - 1000) >= SIZE - 1000
            peer.close()

    run(main())


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
def test_reader_below_the_minimum_rate_is_cut(run, request_):
    async def main():
        async with serving(one_large_message, timeout_send=1, min_send_rate=8 << 20, ws_ping_interval=0) as at:
            peer = await slow_peer(at)
            await peer.send(request_)
            assert await read_at(peer, 1 << 20) < SIZE
            await until(lambda: at.field(Field.CONNECTIONS) == 0)
            peer.close()

    run(main())


def test_slow_reader_is_not_taken_for_one_that_answers_no_ping(run):
    """The ping waits behind the message."""

    async def main():
        async with serving(one_large_message, timeout_send=1, ws_ping_interval=0.6, ws_ping_timeout=0.6) as at:
            peer = await slow_peer(at)
            await peer.send(HANDSHAKE)
            assert await read_at(peer, SIZE / 4) >= SIZE
            peer.close()

    run(main())


# Without a server


def progress(rate=100):
    return SendProgress(Config(timeout_send=10.0, min_send_rate=rate), 0.0)


def test_progress_is_made_while_enough_is_taken_within_the_timeout():
    each = progress()
    unsent = 100_000
    for now in range(0, 500, 5):
        assert each.is_made(unsent, float(now))
        unsent -= 500
    assert each.is_made(unsent, 500.0)


def test_progress_is_not_made_by_less_than_the_rate():
    each = progress()
    assert each.is_made(100_000, 0.0)
    assert each.is_made(99_500, 9.0)
    assert not each.is_made(99_001, 10.0)


def test_any_progress_will_do_without_a_rate():
    each = progress(rate=0)
    assert each.is_made(10, 0.0)
    assert each.is_made(9, 9.0)
    assert each.is_made(8, 18.0)
    assert not each.is_made(8, 28.0)


def test_output_that_is_added_is_no_step_back():
    each = progress()
    assert each.is_made(1000, 0.0)
    assert each.is_made(5000, 9.0)
    assert each.is_made(4000, 9.5)
    assert each.is_made(4000, 19.0)


def test_nothing_that_waits_is_no_progress():
    assert not progress().is_made(0, 0.0)
