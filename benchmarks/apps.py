"""Minimal ASGI applications, one for each case."""

import asyncio
import os

TEXT = (b"content-type", b"text/plain")
HELLO = b"Hello, world!"
PIECE = b"x" * 100
TEN_KIB = b"x" * 10240
ONE_MIB = b"x" * (1 << 20)


def start_of(body):
    """Message that starts a response with this body."""
    headers = [TEXT, (b"content-length", str(len(body)).encode())]
    return {"type": "http.response.start", "status": 200, "headers": headers}


HELLO_START, TEN_KIB_START, ONE_MIB_START = start_of(HELLO), start_of(TEN_KIB), start_of(ONE_MIB)
PIECES_START = {"type": "http.response.start", "status": 200, "headers": [TEXT]}


async def plain(scope, _receive, send):
    assert scope["type"] == "http"
    await send(HELLO_START)
    await send({"type": "http.response.body", "body": HELLO})


async def echo(scope, receive, send):
    assert scope["type"] == "http"
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    await send(start_of(body))
    await send({"type": "http.response.body", "body": body})


async def ten_chunks(scope, _receive, send):
    assert scope["type"] == "http"
    await send(PIECES_START)
    for _ in range(9):
        await send({"type": "http.response.body", "body": PIECE, "more_body": True})
    await send({"type": "http.response.body", "body": PIECE})


async def ten_kib(scope, _receive, send):
    assert scope["type"] == "http"
    await send(TEN_KIB_START)
    await send({"type": "http.response.body", "body": TEN_KIB})


async def one_mib(scope, _receive, send):
    assert scope["type"] == "http"
    await send(ONE_MIB_START)
    await send({"type": "http.response.body", "body": ONE_MIB})


async def sleep(scope, _receive, send):
    assert scope["type"] == "http"
    await asyncio.sleep(0.01)
    await send(HELLO_START)
    await send({"type": "http.response.body", "body": HELLO})


async def websocket(scope, receive, send):
    """Echo application for WebSockets."""
    if scope["type"] != "websocket":
        await plain(scope, receive, send)
        return
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        if (text := message.get("text")) is not None:
            await send({"type": "websocket.send", "text": text})
        else:
            await send({"type": "websocket.send", "bytes": message["bytes"]})


async def whoami(scope, _receive, send):
    """Respond with the process id of the worker."""
    assert scope["type"] == "http"
    body = str(os.getpid()).encode()
    await send(start_of(body))
    await send({"type": "http.response.body", "body": body})
