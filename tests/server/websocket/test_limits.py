"""Back-pressure and limits of WebSockets: slow applications, slow peers, message sizes, pings."""

import asyncio
import contextlib

import pytest
import websockets
from websockets.asyncio.client import connect
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode

from corn.ipc.scoreboard import Field
from tests.support.asgi_server import serving, until
from tests.support.websocket_peer import ACCEPT, HANDSHAKE, at_port, echo, recording, sessions


async def send_all(peer, count, message):
    for _ in range(count):
        await peer.send(message)


def test_application_without_receive_pauses_client(run):
    gate = asyncio.Event()
    received = []

    async def app(scope, receive, send):
        await receive()
        await send(ACCEPT)
        await gate.wait()
        while (message := await receive())["type"] == "websocket.receive":
            received.append(message["bytes"])

    async def main():
        async with serving(app, ws_max_queue=4) as at:
            async with connect(at_port(at), compression=None, write_limit=1024) as peer:
                sending = asyncio.create_task(send_all(peer, 400, b"x" * 50_000))
                (session,) = await sessions(at)
                await until(lambda: len(session.messages) == 4)
                await asyncio.sleep(0.2)
                assert len(session.messages) == 4
                assert not sending.done(), "the client is paused"
                gate.set()
                await sending
                await until(lambda: len(received) == 400)
            await until(lambda: at.field(Field.CONNECTIONS) == 0)

    run(main())


@pytest.mark.parametrize("limit", [1, 3])
def test_small_messages_are_queued_up_to_limit(run, limit):
    most = []

    async def app(scope, receive, send):
        await receive()
        await send(ACCEPT)
        for number in range(1000):
            most.append(len(app.at.server._service.websockets.copy().pop().messages))
            assert (await receive())["text"] == str(number)
            await asyncio.sleep(0)
        await send({"type": "websocket.close", "code": 4000})

    async def main():
        async with serving(app, ws_max_queue=limit) as at:
            app.at = at
            peer = await connect(at_port(at), compression=None)
            for number in range(1000):
                peer.protocol.send_text(str(number).encode())
            peer.transport.write(b"".join(peer.protocol.data_to_send()))
            await peer.wait_closed()
            assert peer.close_code == 4000

    run(main())
    assert max(most) <= limit


def test_messages_before_close_are_received_first(run):
    async def app(scope, receive, send):
        await receive()
        await send(ACCEPT)
        await app.gate.wait()
        app.seen = [await receive() for _ in range(52)]

    async def main():
        app.gate = asyncio.Event()
        async with serving(app, ws_max_queue=2) as at:
            peer = await connect(at_port(at))
            for number in range(50):
                peer.protocol.send_text(str(number).encode())
            peer.protocol.send_close(4000, "x")
            peer.transport.write(b"".join(peer.protocol.data_to_send()))
            peer.transport.close()
            await until(lambda: app.gate)
            app.gate.set()
            await until(lambda: hasattr(app, "seen"))

    run(main())
    assert [each.get("text") for each in app.seen[:50]] == [str(number) for number in range(50)]
    assert [each["code"] for each in app.seen[50:]] == [4000, 4000]


def test_send_timeout_aborts_peer_that_does_not_read(run):
    seen = []

    async def app(scope, receive, send):
        await receive()
        await send(ACCEPT)
        try:
            while True:
                await send({"type": "websocket.send", "bytes": bytes(1 << 20)})
                seen.append("sent")
        except OSError:
            seen.append("gone")
        seen.append((await receive())["code"])

    async def main():
        async with serving(app, timeout_send=1) as at:
            peer = await at.connect(HANDSHAKE)
            await peer.reader.readuntil(b"\r\n\r\n")
            peer.writer.transport.pause_reading()
            await until(lambda: "gone" in seen)
            assert seen.count("sent") < 20
            await until(lambda: seen[-1] == 1006)

    run(main())


def test_pongs_that_are_not_read_abort_peer(run):
    async def main():
        async with serving(echo, timeout_send=1) as at:
            peer = await at.connect(HANDSHAKE)
            await peer.reader.readuntil(b"\r\n\r\n")
            peer.writer.transport.pause_reading()
            pings = (b"\x89\xfd" + bytes(4) + bytes(125)) * 1000
            with contextlib.suppress(ConnectionError):
                while not peer.writer.is_closing():
                    await peer.send(pings)
            await until(lambda: at.field(Field.CONNECTIONS) == 0)

    run(main())


@pytest.mark.parametrize("compression", [None, "deflate"])
def test_message_beyond_limit_closes_with_1009(run, compression):
    async def main():
        app, seen = recording()
        async with serving(app, ws_max_size=1000) as at, connect(at_port(at), compression=compression) as peer:
            await peer.send(b"x" * 1000)
            await until(lambda: len(seen) == 1)
            with contextlib.suppress(websockets.ConnectionClosed):
                await peer.send(b"x" * 100_000)
                await peer.wait_closed()
            assert peer.close_code == 1009
            await until(lambda: len(seen) == 2)
            assert seen[1]["code"] == 1009

    run(main())


def test_ping_timeout_closes_with_1011(run):
    async def main():
        app, seen = recording()
        async with serving(app, ws_ping_interval=0.5, ws_ping_timeout=0.5) as at:
            peer = await at.connect(HANDSHAKE)
            await peer.reader.readuntil(b"\r\n\r\n")
            assert await peer.reader.readexactly(2) == b"\x89\x00"
            assert (await peer.everything())[:4] == b"\x88\x18" + (1011).to_bytes(2, "big")
            await until(lambda: seen)
            assert seen[0] == {"type": "websocket.disconnect", "code": 1006, "reason": "no answer to a ping"}

    run(main())


@pytest.mark.parametrize(("interval", "timeout"), [(1.2, 1.2), (1.6, 1.2)])
def test_answered_pings_keep_connection(run, interval, timeout):
    """The timeout is longer than a step of the coarse clock, in which a blocked loop lets the peer answer nothing."""

    async def main():
        async with serving(echo, ws_ping_interval=interval, ws_ping_timeout=timeout) as at:
            peer = await at.connect(HANDSHAKE)
            await peer.reader.readuntil(b"\r\n\r\n")
            for _ in range(2):
                assert await peer.reader.readexactly(2) == b"\x89\x00"
                await peer.send(b"\x8a\x80\0\0\0\0")
            await peer.send(b"\x81\x81\0\0\0\0x")
            while (frame := await peer.reader.readexactly(2)) == b"\x89\x00":
                pass
            assert frame == b"\x81\x01"

    run(main())


def test_send_to_lost_peer_raises_despite_queued_messages(run):
    ends = []

    async def app(scope, receive, send):
        await receive()
        await send(ACCEPT)
        try:
            while True:
                await send({"type": "websocket.send", "text": "x"})
                await asyncio.sleep(0.01)
        except OSError:
            ends.append("gone")
        ends.append((await receive())["text"])

    async def main():
        async with serving(app, ws_max_queue=2) as at:
            peer = await at.connect(HANDSHAKE + b"\x81\x81\0\0\0\0y" * 10)
            await peer.reader.readuntil(b"\r\n\r\n")
            peer.writer.transport.abort()
            await until(lambda: len(ends) == 2)

    run(main())
    assert ends == ["gone", "y"]


def test_pings_without_timeout_are_sent_each_interval(run):
    async def main():
        async with serving(echo, ws_ping_interval=0.5, ws_ping_timeout=0) as at:
            peer = await at.connect(HANDSHAKE)
            await peer.reader.readuntil(b"\r\n\r\n")
            assert await peer.reader.readexactly(4) == b"\x89\x00\x89\x00"
            (session,) = await sessions(at)
            assert session.outcome is None
            assert session.deadline <= at.server._service.clock.now + 0.5

    run(main())


def test_compressed_messages_are_inflated_one_by_one(run):
    """98 KB of compressed data hold six messages of 16 MiB each."""
    received = []

    async def app(scope, receive, send):
        await receive()
        await send(ACCEPT)
        await app.gate.wait()
        while len(received) < 6:
            received.append(len((await receive())["bytes"]))

    async def main():
        app.gate = asyncio.Event()
        bomb = Frame(Opcode.BINARY, bytes(16 << 20)).serialize(
            mask=True, extensions=[PerMessageDeflate(False, False, 12, 12, {})]
        )
        async with serving(app) as at:
            peer = await at.connect(HANDSHAKE[:-2] + b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n")
            await peer.reader.readuntil(b"\r\n\r\n")
            (session,) = await sessions(at)
            await peer.send(bomb * 6)
            await until(lambda: session.messages)
            await asyncio.sleep(0.2)
            assert len(session.messages) == 1
            app.gate.set()
            await until(lambda: len(received) == 6)
            assert received == [16 << 20] * 6

    run(main())


async def _read_until(peer, end):
    data = b""
    while not data.endswith(end):
        data = data[-len(end) :] + await peer.reader.read(1 << 20)


@pytest.mark.parametrize("first", [0x89, 0x8A, 0x00], ids=["ping", "pong", "fragment"])
def test_40_000_empty_frames_do_not_block_event_loop(run, first):
    frame = bytes((first, 0x80, 0, 0, 0, 0))

    async def main():
        async with serving(echo) as at:
            peer = await at.connect(HANDSHAKE + b"\x01\x80\0\0\0\0" * (frame[0] == 0))
            await peer.reader.readuntil(b"\r\n\r\n")
            turns = 0

            async def count():
                nonlocal turns
                while True:
                    await asyncio.sleep(0)
                    turns += 1

            counting = asyncio.ensure_future(count())
            reading = asyncio.ensure_future(_read_until(peer, b"\x81\x04last"))
            await peer.send(frame * 40_000 + (b"\x80\x84" if frame[0] == 0 else b"\x81\x84") + b"\0\0\0\0last")
            await reading
            assert turns > 40_000 // 1000
            counting.cancel()

    run(main())
