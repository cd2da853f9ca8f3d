"""WebSockets, asked for by the client of the library `websockets`."""

import pytest
import websockets
from websockets.asyncio.client import connect

from corn.slots import Field
from tests.worker.serving import serving, until

ACCEPT = {"type": "websocket.accept"}


async def echo(scope, receive, send):
    """Sends back what it receives, until the peer leaves."""
    assert (await receive())["type"] == "websocket.connect"
    await send(ACCEPT)
    while (message := await receive())["type"] == "websocket.receive":
        await send({**message, "type": "websocket.send"})


def recording(reaction=None):
    """An application that accepts, and keeps what it receives until the end; `reaction(message, send)` may answer."""
    seen = []

    async def app(scope, receive, send):
        await receive()
        await send(ACCEPT)
        while True:
            message = await receive()
            seen.append(message)
            if message["type"] == "websocket.disconnect":
                break
            if reaction is not None:
                await reaction(message, send)

    return app, seen


def at_port(at, path="/"):
    return f"ws://127.0.0.1:{at.address[1]}{path}"


@pytest.mark.parametrize("compression", [None, "deflate"])
@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536, 1 << 20])
def test_messages_come_back(run, size, compression):
    async def main():
        async with serving(echo) as at, connect(at_port(at), compression=compression, max_size=None) as peer:
            for message in ("ä" * (size // 2), b"\x00\xff" * (size // 2)):
                await peer.send(message)
                assert await peer.recv() == message

    run(main())


def test_the_scope(run):
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
    assert scope["extensions"] == {"websocket.http.response": {}}
    assert (b"upgrade", b"websocket") in scope["headers"]
    assert "method" not in scope


@pytest.mark.parametrize(
    ("close", "seen"), [((4001, "bye"), (4001, "bye")), ((1000, ""), (1000, "")), (None, (1005, ""))]
)
def test_the_application_is_told_how_the_peer_closed(run, close, seen):
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


def test_a_peer_that_is_gone_is_1006(run):
    async def main():
        app, messages = recording()
        async with serving(app) as at:
            peer = await connect(at_port(at))
            peer.transport.abort()
            await until(lambda: messages)
            assert messages == [{"type": "websocket.disconnect", "code": 1006, "reason": ""}]

    run(main())


def test_the_peer_is_told_how_the_application_closed(run):
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


def test_an_application_that_returns_closes(run):
    async def app(scope, receive, send):
        await receive()
        await send(ACCEPT)

    async def main():
        async with serving(app) as at, connect(at_port(at)) as peer:
            await peer.wait_closed()
            assert peer.close_code == 1000
            await until(lambda: at.field(Field.CONNECTIONS) == 0)

    run(main())


def test_an_application_that_fails_closes_with_1011(run, caplog):
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


def test_closing_before_accepting_is_403(run):
    async def app(scope, receive, send):
        await receive()
        await send({"type": "websocket.close"})

    async def main():
        async with serving(app) as at:
            with pytest.raises(websockets.InvalidStatus) as caught:
                await connect(at_port(at))
            assert caught.value.response.status_code == 403

    run(main())


def test_a_denial_is_what_the_application_says(run):
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
def test_a_handshake_without_an_answer_is_500(run, caplog, failure):
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
