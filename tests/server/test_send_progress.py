"""Slow readers over each protocol: served at --min-send-rate and above, disconnected below."""

import asyncio
import contextlib
import socket
import struct
import threading
import time

from corn.config import Config
from corn.ipc.scoreboard import Field
from corn.server.http2 import frames
from corn.server.send_progress import SendProgress
from tests.support.asgi_server import Peer, serving, until
from tests.support.slow_reader import connect_slow, narrow_listener
from tests.support.websocket_peer import ACCEPT, HANDSHAKE

SIZE = 16 << 20
PIECE = 16384
PATIENCE = 2  # seconds; a blocked loop of both sides advances the clock by 1 s at once, in which nobody can read
H2_REQUEST = (
    frames.PREFACE
    + frames.frame(frames.SETTINGS, 0, 0, struct.pack("!HL", 4, (1 << 31) - 1))
    + frames.window_update(0, 1 << 30)
    + frames.frame(frames.HEADERS, 5, 1, b"\x82\x86\x84\x41\x01x")
)
REQUESTS = {
    "http1": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "http1 close": b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
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


async def many_small_pieces(scope, receive, send):
    """A small send buffer is full, and is written again, hundreds of times."""
    if scope["type"] == "websocket":
        await receive()
        await send(ACCEPT)
        for _ in range(SIZE // PIECE):
            await send({"type": "websocket.send", "bytes": bytes(PIECE)})
        while (await receive())["type"] != "websocket.disconnect":
            pass
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % SIZE)]})
    for _ in range(SIZE // PIECE):
        await send({"type": "http.response.body", "body": bytes(PIECE), "more_body": True})
    await send({"type": "http.response.body"})


async def slow_peer(at):
    """Client with a small kernel receive buffer."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, at.address)
    reader, writer = await asyncio.open_connection(sock=sock, limit=16384)
    return Peer(reader, writer)


async def read_at(peer, rate, most=SIZE):
    """Read at most `rate` bytes a second; returns the number of bytes read."""
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


async def over_each_protocol(transfer):
    """What `transfer` returns for each protocol; all run at the same time, because they mostly wait."""
    return dict(zip(REQUESTS, await asyncio.gather(*map(transfer, REQUESTS.values())), strict=True))


WHOLE = dict.fromkeys(REQUESTS, True)


def test_slow_reader_gets_whole_response(run):
    """The transfer takes longer than any of the timeouts."""

    async def transfer(request):
        async with serving(one_large_message, timeout_send=PATIENCE, timeout_keep_alive=1, ws_ping_interval=0) as at:
            peer = await slow_peer(at)
            await peer.send(request)
            is_whole = await read_at(peer, SIZE / 4) >= SIZE
            peer.close()
        return is_whole

    assert run(over_each_protocol(transfer)) == WHOLE


def test_drain_waits_for_slow_reader(run):
    async def transfer(request):
        async with serving(one_large_message, timeout_send=PATIENCE, timeout_keep_alive=1, ws_ping_interval=0) as at:
            peer = await slow_peer(at)
            await peer.send(request)
            await peer.reader.readexactly(1000)
            at.server.drain(grace=30, final=True)
            is_whole = await read_at(peer, SIZE / 4, SIZE - 1000) >= SIZE - 1000
            peer.close()
        return is_whole

    assert run(over_each_protocol(transfer)) == WHOLE


def test_reader_below_min_send_rate_is_disconnected(run):
    async def transfer(request):
        async with serving(one_large_message, timeout_send=1, min_send_rate=8 << 20, ws_ping_interval=0) as at:
            peer = await slow_peer(at)
            await peer.send(request)
            is_cut = await read_at(peer, 1 << 20) < SIZE
            await until(lambda: at.field(Field.CONNECTIONS) == 0)
            peer.close()
        return is_cut

    assert all(run(over_each_protocol(transfer)).values())


def test_reader_below_rate_of_many_pieces_is_disconnected(run):
    async def transfer(request):
        options = {"timeout_send": 1, "min_send_rate": 8 << 20, "ws_ping_interval": 0}
        async with serving(many_small_pieces, listener=narrow_listener(), **options) as at:
            is_cut = await read_at(await connect_slow(at, request), 1 << 20) < SIZE
            await until(lambda: at.field(Field.CONNECTIONS) == 0)
        return is_cut

    assert all(run(over_each_protocol(transfer)).values())


def test_reader_above_rate_of_many_pieces_gets_all(run):
    async def transfer(request):
        options = {"timeout_send": PATIENCE, "min_send_rate": 64 << 10, "ws_ping_interval": 0}
        async with serving(many_small_pieces, listener=narrow_listener(), **options) as at:
            return await read_at(await connect_slow(at, request), SIZE / 4) >= SIZE

    assert run(over_each_protocol(transfer)) == WHOLE


def read_all(address, request_, received):
    with socket.create_connection(address, 40) as sock:
        sock.sendall(request_)
        while data := sock.recv(1 << 20):
            received.append(len(data))


def test_live_reader_beside_blocked_loop_gets_all(run):
    """The peer reads what the kernel holds while the loop is blocked, which is less than the rate asks for."""
    written = asyncio.Event()

    async def main():
        async def app(scope, receive, send):
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % SIZE)]})
            asyncio.get_running_loop().call_soon(written.set)
            await send({"type": "http.response.body", "body": bytes(SIZE)})

        received = []
        async with serving(app, listener=narrow_listener(), timeout_send=1, min_send_rate=512 << 10) as at:
            reader = threading.Thread(target=read_all, args=(at.address[:2], REQUESTS["http1 close"], received))
            reader.start()
            await written.wait()
            time.sleep(2.5)  # as an application does that blocks the loop
            await asyncio.to_thread(reader.join)
        assert sum(received) > SIZE

    run(main())


def test_ping_queued_behind_large_message_does_not_time_out(run):
    """The ping is queued behind the message."""

    async def main():
        async with serving(one_large_message, timeout_send=PATIENCE, ws_ping_interval=0.6, ws_ping_timeout=0.6) as at:
            peer = await slow_peer(at)
            await peer.send(HANDSHAKE)
            assert await read_at(peer, SIZE / 4) >= SIZE
            peer.close()

    run(main())


# Without a server


def progress(rate=100):
    return SendProgress(Config(timeout_send=10.0, min_send_rate=rate), 0.0)


def test_progress_above_rate_is_made():
    each = progress()
    unsent = 100_000
    for now in range(0, 500, 5):
        assert each.is_made(unsent, float(now))
        unsent -= 500
    assert each.is_made(unsent, 500.0)


def test_progress_below_rate_is_not_made():
    each = progress()
    assert each.is_made(100_000, 0.0)
    assert each.is_made(99_500, 9.0)
    assert not each.is_made(99_001, 10.0)


def test_progress_without_rate_accepts_any_bytes():
    each = progress(rate=0)
    assert each.is_made(10, 0.0)
    assert each.is_made(9, 9.0)
    assert each.is_made(8, 18.0)
    assert not each.is_made(8, 28.0)


def test_progress_after_added_output_is_made():
    each = progress()
    assert each.is_made(1000, 0.0)
    assert each.is_made(5000, 9.0)
    assert each.is_made(4000, 9.5)
    assert each.is_made(4000, 19.0)


def test_progress_without_unsent_output_is_not_made():
    assert not progress().is_made(0, 0.0)
