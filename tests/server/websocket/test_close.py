"""Close of WebSockets by a draining worker, their metrics, and their access log."""

import asyncio
import re

import pytest
from websockets.asyncio.client import connect

from corn.ipc.scoreboard import Field
from tests.support.asgi_server import serving, until
from tests.support.websocket_peer import ACCEPT, HANDSHAKE, at_port, echo, opened, recording


def test_drain_closes_websockets_with_1012_one_by_one(run):
    async def main():
        app, seen = recording()
        async with serving(app) as at:
            peers = [await connect(at_port(at)) for _ in range(10)]
            ended = []
            for peer in peers:
                waiting = asyncio.create_task(peer.wait_closed())
                waiting.add_done_callback(lambda _: ended.append(at.field(Field.CONNECTIONS)))
            at.server.drain(grace=10, final=True)
            await at.server.wait_closed()
            await until(lambda: len(ended) == 10)
            assert [peer.close_code for peer in peers] == [1012] * 10
            assert [each["code"] for each in seen] == [1012] * 10

    run(main())


def test_drain_without_grace_closes_websockets_immediately(run):
    async def main():
        app, seen = recording()
        async with serving(app) as at:
            peer = await connect(at_port(at))
            at.server.drain(grace=0, final=False)
            await at.server.wait_closed()
            await peer.wait_closed()
            assert peer.close_code == 1012
            assert [each["code"] for each in seen] == [1012]

    run(main())


def test_drain_past_grace_cancels_application_without_receive(run, caplog):
    ends = []

    async def app(scope, receive, send):
        await receive()
        await send(ACCEPT)
        try:
            await asyncio.Event().wait()
        finally:
            ends.append("cancelled")

    async def main():
        async with serving(app) as at:
            peer = await connect(at_port(at, "/ignores"))
            at.server.drain(grace=0.5, final=False)
            await peer.wait_closed()
            assert peer.close_code == 1012
            await at.server.wait_closed()

    run(main())
    assert ends == ["cancelled"]
    assert "WebSocket /ignores was cancelled: the worker drains" in caplog.text


def test_drain_does_not_wait_for_close_frame_of_peer(run):
    async def main():
        app, _ = recording()
        async with serving(app) as at:
            peer = await at.connect(HANDSHAKE)
            await peer.reader.readuntil(b"\r\n\r\n")
            at.server.drain(grace=20, final=True)
            await at.server.wait_closed()
            assert (await peer.everything())[2:4] == (1012).to_bytes(2, "big")

    run(main())


def test_drain_closes_websocket_accepted_meanwhile(run):
    gate = asyncio.Event()

    async def app(scope, receive, send):
        await gate.wait()
        await receive()
        await send(ACCEPT)
        app.seen = await receive()

    async def main():
        async with serving(app) as at:
            opening = asyncio.ensure_future(opened(at))
            await until(lambda: at.server._service.running)
            at.server.drain(grace=15, final=False)
            gate.set()
            peer = await opening
            await peer.wait_closed()
            assert peer.close_code == 1012
            await at.server.wait_closed()

    run(main())
    assert app.seen["code"] == 1012


def test_websocket_messages_and_connections_are_counted(run):
    async def main():
        async with serving(echo) as at:
            async with connect(at_port(at)) as peer:
                for _ in range(3):
                    await peer.send("x")
                    await peer.recv()
                await until(lambda: at.field(Field.WEBSOCKETS) == 1)
                await until(lambda: at.field(Field.MESSAGES) == 3)
                assert (at.field(Field.REQUESTS), at.field(Field.ACTIVE)) == (1, 1)
            await until(lambda: at.field(Field.WEBSOCKETS) == at.field(Field.ACTIVE) == 0)

    run(main())


@pytest.mark.parametrize(
    ("options", "reason"), [({"limit_max_requests": 2}, "max requests"), ({"limit_max_messages": 3}, "max messages")]
)
def test_request_and_message_limits_ask_for_replacement(run, options, reason):
    async def main():
        reasons = []
        async with serving(echo, on_retire=reasons.append, **options) as at:
            async with connect(at_port(at)) as peer:
                for _ in range(4 if "messages" in reason else 1):
                    await peer.send("x")
                    await peer.recv()
                if "requests" in reason:
                    assert not reasons
                    await (await connect(at_port(at))).close()
                await until(lambda: reasons)
            assert reasons[0] == reason

    run(main())


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (
            {},
            [
                r'.*INFO .* 127.0.0.1:\d+ "WebSocket /a\?b=c" \[accepted\] 0 [\d.]+ms',
                r'.*INFO .* 127.0.0.1:\d+ "WebSocket /a\?b=c" \[closed 4000\] 5 [\d.]+ms',
            ],
        ),
        ({"log_format": "json"}, [r'.*"path": "/a", .*"status": 101, "bytes": 5, .*"note": "websocket closed 4000"}']),
        ({"access_log_format": '%(h)s "%(r)s" %(s)s %(b)s'}, [r'127.0.0.1 "GET /a\?b=c HTTP/1.1" 101 5']),
    ],
)
def test_access_log_of_websocket_has_handshake_and_close(run, tmp_path, options, expected):
    path = tmp_path / "log"

    async def main():
        options.update(access_log=True, access_log_file=str(path))
        async with serving(echo, **options) as at:
            async with connect(at_port(at, "/a?b=c"), compression=None) as peer:
                await peer.send("abc")
                await peer.recv()
                await peer.close(4000)
            await until(lambda: len(path.read_text().splitlines()) == len(expected))

    run(main())
    for line, pattern in zip(path.read_text().splitlines(), expected, strict=True):
        assert re.fullmatch(pattern, line)


@pytest.mark.parametrize("listens", [True, False])
def test_fast_drain_closes_websockets_immediately(run, listens):
    ends = []

    async def app(scope, receive, send):
        await receive()
        await send(ACCEPT)
        try:
            ends.append((await receive())["code"] if listens else await asyncio.Event().wait())
        except asyncio.CancelledError:
            ends.append("cancelled")

    async def main():
        async with serving(app) as at:
            peers = [await connect(at_port(at)) for _ in range(5)]
            at.server.drain(grace=3600, final=False, fast=True)
            await at.server.wait_closed()
            for peer in peers:
                await peer.wait_closed()
            assert [peer.close_code for peer in peers] == [1012] * 5

    run(main())
    assert ends == [1012 if listens else "cancelled"] * 5
