"""WebSocket sessions with the client of the library `websockets`: messages, close, and order of ASGI messages."""

import asyncio
import contextlib
import time

import pytest
import websockets
from websockets.asyncio.client import connect

from corn.ipc.scoreboard import Field
from corn.server import turn_writer
from corn.server.websocket import session as session_module
from tests.support.asgi_server import serving, until
from tests.support.websocket_peer import ACCEPT, HANDSHAKE, at_port, echo, recording, sessions


@pytest.mark.parametrize("compression", [None, "deflate"])
@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536, 1 << 20])
def test_messages_are_echoed_at_all_sizes(run, size, compression):
    async def main():
        async with serving(echo) as at, connect(at_port(at), compression=compression, max_size=None) as peer:
            for message in ("ä" * (size // 2), b"\x00\xff" * (size // 2)):
                await peer.send(message)
                assert await peer.recv() == message

    run(main())


def test_scope_matches_handshake(run):
    seen = []

    async def app(scope, receive, send):
        seen.append(scope)
        await receive()
        await send({"type": "websocket.accept", "subprotocol": "b", "headers": [(b"x-one", b"1")]})
        await receive()

    async def main():
        async with (
            serving(app, root_path="/root") as at,
            connect(at_port(at, "/a%20b?q=1"), subprotocols=["a", "b"]) as peer,
        ):
            assert peer.subprotocol == "b"
            assert peer.response.headers["x-one"] == "1"
            assert peer.response.headers["server"] == "corn"

    run(main())
    (scope,) = seen
    assert scope["type"] == "websocket"
    assert scope["asgi"] == {"version": "3.0", "spec_version": "2.5"}
    assert (scope["http_version"], scope["scheme"]) == ("1.1", "ws")
    assert (scope["path"], scope["raw_path"], scope["query_string"]) == ("/root/a b", b"/root/a%20b", b"q=1")
    assert scope["subprotocols"] == ["a", "b"]
    assert set(scope["extensions"]) == {"websocket.http.response", "corn.drain"}
    assert (b"upgrade", b"websocket") in scope["headers"]
    assert "method" not in scope


@pytest.mark.parametrize(
    ("close", "seen"), [((4001, "bye"), (4001, "bye")), ((1000, ""), (1000, "")), (None, (1005, ""))]
)
def test_disconnect_message_has_close_code_of_peer(run, close, seen):
    async def main():
        app, messages = recording()
        async with serving(app) as at:
            peer = await connect(at_port(at))
            if close is None:
                peer.protocol.send_close()
                peer.transport.write(b"".join(peer.protocol.data_to_send()))
            else:
                await peer.close(*close)
            await until(lambda: messages)
            assert messages == [{"type": "websocket.disconnect", "code": seen[0], "reason": seen[1]}]
            await peer.wait_closed()
            assert peer.close_code == seen[0]

    run(main())


def test_lost_peer_disconnects_with_1006(run):
    async def main():
        app, messages = recording()
        async with serving(app) as at:
            peer = await connect(at_port(at))
            peer.transport.abort()
            await until(lambda: messages)
            assert messages == [{"type": "websocket.disconnect", "code": 1006, "reason": ""}]

    run(main())


def test_close_of_application_reaches_peer(run):
    after = []

    async def app(scope, receive, send):
        await receive()
        await send(ACCEPT)
        await send({"type": "websocket.close", "code": 4002, "reason": "enough"})
        after.append(await receive())

    async def main():
        async with serving(app) as at, connect(at_port(at)) as peer:
            with pytest.raises(websockets.ConnectionClosed):
                await peer.recv()
            assert (peer.close_code, peer.close_reason) == (4002, "enough")

    run(main())
    assert after == [{"type": "websocket.disconnect", "code": 4002, "reason": "enough"}]


def test_application_return_closes_with_1000(run):
    async def app(scope, receive, send):
        await receive()
        await send(ACCEPT)

    async def main():
        async with serving(app) as at, connect(at_port(at)) as peer:
            await peer.wait_closed()
            assert peer.close_code == 1000
            await until(lambda: at.field(Field.CONNECTIONS) == 0)

    run(main())


def test_application_exception_closes_with_1011(run, caplog):
    async def app(scope, receive, send):
        await receive()
        await send(ACCEPT)
        raise ValueError("no good")

    async def main():
        async with serving(app) as at, connect(at_port(at, "/x")) as peer:
            await peer.wait_closed()
            assert peer.close_code == 1011

    run(main())
    assert "WebSocket /x failed with ValueError: no good" in caplog.text


def test_close_before_accept_gets_403(run):
    async def app(scope, receive, send):
        await receive()
        await send({"type": "websocket.close"})

    async def main():
        async with serving(app) as at:
            with pytest.raises(websockets.InvalidStatus) as caught:
                await connect(at_port(at))
            assert caught.value.response.status_code == 403

    run(main())


def test_denial_response_is_sent(run):
    async def app(scope, receive, send):
        await receive()
        headers = [(b"x-why", b"because")]
        await send({"type": "websocket.http.response.start", "status": 401, "headers": headers})
        await send({"type": "websocket.http.response.body", "body": b"not ", "more_body": True})
        await send({"type": "websocket.http.response.body", "body": b"you"})

    async def main():
        async with serving(app) as at:
            with pytest.raises(websockets.InvalidStatus) as caught:
                await connect(at_port(at))
            response = caught.value.response
            assert (response.status_code, response.body, response.headers["x-why"]) == (401, b"not you", "because")

    run(main())


@pytest.mark.parametrize("failure", ["raise", "return"])
def test_handshake_without_response_gets_500(run, caplog, failure):
    async def app(scope, receive, send):
        if failure == "raise":
            raise ValueError("no good")

    async def main():
        async with serving(app) as at:
            with pytest.raises(websockets.InvalidStatus) as caught:
                await connect(at_port(at))
            assert caught.value.response.status_code == 500

    run(main())
    assert ("failed with ValueError" if failure == "raise" else "without sending a response") in caplog.text


@pytest.mark.parametrize(
    ("messages", "complaint"),
    [
        ([{"type": "http.response.start", "status": 200}], "'http.response.start' where the specification allows"),
        ([{"type": "websocket.send", "text": "x"}], "'websocket.send' where the specification allows"),
        ([ACCEPT, ACCEPT], "'websocket.accept' where the specification allows 'websocket.send' or 'websocket.close'"),
        ([ACCEPT, {"type": "websocket.close"}, {"type": "websocket.send", "text": "x"}], "'websocket.send' where"),
        ([{"type": "websocket.close"}, ACCEPT], "'websocket.accept' where the specification allows nothing"),
        ([{**ACCEPT, "headers": [(b"Sec-WebSocket-Protocol", b"x")]}], "the message has 'subprotocol' for it"),
        ([{**ACCEPT, "headers": [(b"x", b"a\r\nb")]}], "control byte"),
        ([ACCEPT, {"type": "websocket.close", "code": 1006}], "cannot close with code 1006"),
        ([ACCEPT, {"type": "websocket.send"}], "'websocket.send' has neither text nor bytes"),
    ],
)
def test_invalid_asgi_messages_raise(run, messages, complaint):
    raised = []

    async def app(scope, receive, send):
        await receive()
        try:
            for each in messages:
                await send(each)
        except Exception as error:
            raised.append(error)
            raise

    async def main():
        async with serving(app) as at:
            with contextlib.suppress(websockets.InvalidStatus):
                peer = await connect(at_port(at))
                await peer.wait_closed()
            await until(lambda: raised)

    run(main())
    assert complaint in str(raised[0])


def test_send_after_peer_close_raises_oserror_without_log(run, caplog):
    async def app(scope, receive, send):
        await receive()
        await send(ACCEPT)
        await receive()
        await send({"type": "websocket.send", "text": "too late"})

    async def main():
        async with serving(app) as at:
            await (await connect(at_port(at))).close()
            await until(lambda: not at.server._service.running)

    run(main())
    assert caplog.text == ""


def test_cancelled_receive_loses_no_message(run):
    async def app(scope, receive, send):
        await receive()
        await send(ACCEPT)
        for _ in range(5):
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(receive(), 0.01)
        await send({"type": "websocket.send", "text": "now"})
        message = await receive()
        await send({"type": "websocket.send", "text": message["text"]})

    async def main():
        async with serving(app) as at, connect(at_port(at)) as peer:
            assert await peer.recv() == "now"
            await peer.send("x")
            assert await peer.recv() == "x"

    run(main())


def test_disconnect_before_accept_is_1006(run):
    seen = []

    async def app(scope, receive, send):
        await receive()
        seen.append(await receive())
        with contextlib.suppress(OSError):
            await send(ACCEPT)

    async def main():
        async with serving(app) as at:
            peer = await at.connect(HANDSHAKE)
            await until(lambda: at.server._service.running)
            peer.close()
            await until(lambda: seen)
            await until(lambda: at.field(Field.CONNECTIONS) == 0)

    run(main())
    assert seen == [{"type": "websocket.disconnect", "code": 1006, "reason": ""}]


class Counting:
    """Transport that counts its writes."""

    def __init__(self, transport):
        self.transport = transport
        self.writes = 0

    def write(self, data):
        self.writes += 1
        self.transport.write(data)

    def __getattr__(self, name):
        return getattr(self.transport, name)


@pytest.mark.parametrize("blocks", [False, True], ids=["quick", "slow"])
def test_messages_of_quick_application_are_written_together(run, blocks, monkeypatch):
    """After a blocking step of the application, messages are written immediately."""
    writes = []
    if not blocks:  # nor does a loaded machine: what steps take is measured by a clock that stands still
        for module in (session_module, turn_writer):
            monkeypatch.setattr(module, "monotonic", float)

    async def app(scope, receive, send):
        await receive()
        await send(ACCEPT)
        await receive()
        session = app.at.server._service.websockets
        counting = []
        for each in session:
            each.carrier.transport = Counting(each.carrier.transport)
            counting.append(each.carrier.transport)
        for number in range(1000):
            if blocks and number % 100 == 0:
                time.sleep(0.02)
            await send({"type": "websocket.send", "text": str(number)})
        await asyncio.sleep(0)
        writes.append(sum(each.writes for each in counting))

    async def main():
        async with serving(app) as at:
            app.at = at
            async with connect(at_port(at)), connect(at_port(at), compression=None) as peer:
                await sessions(at)
                await peer.send("begin")
                for number in range(1000):
                    assert await peer.recv() == str(number)

    run(main())
    assert writes[0] > 900 if blocks else writes[0] < 500
