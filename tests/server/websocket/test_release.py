"""Memory of an ended WebSocket is freed by reference counting, without the cyclic garbage collector."""

import contextlib
import json
import socket
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.corn_process import Served
from tests.support.hostile_clients import WEBSOCKET

APP = """
import gc
import json
from collections import Counter

KINDS = ("WebSocketSession", "WebSocketConnection", "HTTP1WebSocketCycle", "FrameCodec")


async def app(scope, receive, send):
    gc.disable()  # here, since the worker enables it after the import
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "bytes": message["bytes"]})
        return
    found = Counter(type(each).__name__ for each in gc.get_objects())
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps({kind: found[kind] for kind in KINDS}).encode()})
"""
MESSAGE = b"\x82\xfe\xff\xff\0\0\0\0" + bytes(65535)
CONVERSATIONS = 5


def disconnect_silently(_: socket.socket) -> None:
    pass


def disconnect_within_message(sock: socket.socket) -> None:
    sock.sendall(MESSAGE[:30_000])


def disconnect_with_unread_messages(sock: socket.socket) -> None:
    for _ in range(20):
        sock.sendall(MESSAGE)


def disconnect_with_unread_pongs(sock: socket.socket) -> None:
    sock.sendall(b"\x89\x80\0\0\0\0" * 2000)


def reset_with_unread_pongs(sock: socket.socket) -> None:
    """Send pings without reading the pongs until the send buffer is full, then reset the connection."""
    pings = (b"\x89\xfd\0\0\0\0" + bytes(125)) * 100
    sock.settimeout(0.5)
    with contextlib.suppress(TimeoutError):
        while True:
            sock.sendall(pings)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def violate_protocol(sock: socket.socket) -> None:
    sock.sendall(b"\xff\x80\0\0\0\0")
    while sock.recv(65536):
        pass


def close_cleanly(sock: socket.socket) -> None:
    sock.sendall(b"\x88\x80\0\0\0\0")
    while sock.recv(65536):
        pass


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
@pytest.mark.parametrize(
    "disconnect",
    [
        disconnect_silently,
        disconnect_within_message,
        disconnect_with_unread_messages,
        disconnect_with_unread_pongs,
        reset_with_unread_pongs,
        violate_protocol,
        close_cleanly,
    ],
)
def test_ended_websockets_are_freed_without_gc(
    tmp_path: Path, disconnect: Callable[[socket.socket], None], loop: str
) -> None:
    (tmp_path / "main.py").write_text(APP)
    arguments = ("main:app", "--port", "0", "-w", "1", "--lifespan", "off", "--control", "off", "--no-access-log")
    with Served(tmp_path, *arguments, "--loop", loop).wait_ready() as served:
        address = ("127.0.0.1", int(served.address.rpartition(":")[2]))
        for _ in range(CONVERSATIONS):
            with socket.create_connection(address, timeout=20) as sock:
                sock.sendall(WEBSOCKET)
                assert sock.recv(1000).startswith(b"HTTP/1.1 101")
                disconnect(sock)
        served.wait_until(lambda: max(_count(address).values()) <= 1, "no WebSocket left in memory", 40)


def _count(address: tuple[str, int]) -> dict[str, int]:
    with socket.create_connection(address, timeout=20) as sock:
        sock.sendall(b"GET / HTTP/1.0\r\nHost: corn\r\n\r\n")
        received = b""
        while data := sock.recv(65536):
            received += data
    return json.loads(received.partition(b"\r\n\r\n")[2])
