"""Applications, addresses and handshake bytes for tests of WebSockets."""

from websockets.asyncio.client import connect

from tests.support.asgi_server import until

ACCEPT = {"type": "websocket.accept"}
HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


async def echo(scope, receive, send):
    """Application that echoes messages until the disconnect."""
    assert (await receive())["type"] == "websocket.connect"
    await send(ACCEPT)
    while (message := await receive())["type"] == "websocket.receive":
        await send({**message, "type": "websocket.send"})


def recording(reaction=None):
    """Application that accepts and records messages; `reaction(message, send)` may respond."""
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


async def sessions(at):
    """Wait for open WebSockets of a server, and return them."""
    service = at.server._service
    await until(lambda: service.websockets)
    return list(service.websockets)


async def opened(at):
    return await connect(at_port(at))
