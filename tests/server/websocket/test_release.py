"""What a WebSocket holds is freed with its end, and not left to the collector of circles."""

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


def leave_without_a_word(_: socket.socket) -> None:
    pass


def leave_amid_a_message(sock: socket.socket) -> None:
    sock.sendall(MESSAGE[:30_000])


def leave_without_reading(sock: socket.socket) -> None:
    for _ in range(20):
        sock.sendall(MESSAGE)


def leave_amid_pings(sock: socket.socket) -> None:
    sock.sendall(b"\x89\x80\0\0\0\0" * 2000)


def reset_amid_unread_pongs(sock: socket.socket) -> None:
    """Send pings until nothing more is taken, since the answers are not read, and reset."""
    pings = (b"\x89\xfd\0\0\0\0" + bytes(125)) * 100
    sock.settimeout(0.5)
    with contextlib.suppress(TimeoutError):
        while True:
            sock.sendall(pings)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def break_the_protocol(sock: socket.socket) -> None:
    sock.sendall(b"\xff\x80\0\0\0\0")
    while sock.recv(65536):
        pass


def close_in_order(sock: socket.socket) -> None:
    sock.sendall(b"\x88\x80\0\0\0\0")
    while sock.recv(65536):
        pass


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
@pytest.mark.parametrize(
    "leave",
    [
        leave_without_a_word,
        leave_amid_a_message,
        leave_without_reading,
        leave_amid_pings,
        reset_amid_unread_pongs,
        break_the_protocol,
        close_in_order,
    ],
)
def test_ended_websockets_are_freed_without_the_collector(
    tmp_path: Path, leave: Callable[[socket.socket], None], loop: str
) -> None:
    (tmp_path / "main.py").write_text(APP)
    arguments = ("main:app", "--port", "0", "-w", "1", "--lifespan", "off", "--control", "off", "--no-access-log")
    with Served(tmp_path, *arguments, "--loop", loop).wait_ready() as served:
        address = ("127.0.0.1", int(served.address.rpartition(":")[2]))
        for _ in range(CONVERSATIONS):
            with socket.create_connection(address, timeout=20) as sock:
                sock.sendall(WEBSOCKET)
                assert sock.recv(1000).startswith(b"HTTP/1.1 101")
                leave(sock)
        served.wait_until(lambda: max(_count(address).values()) <= 1, "no WebSocket left in memory", 40)


def _count(address: tuple[str, int]) -> dict[str, int]:
    with socket.create_connection(address, timeout=20) as sock:
        sock.sendall(b"GET / HTTP/1.0\r\nHost: corn\r\n\r\n")
        received = b""
        while data := sock.recv(65536):
            received += data
    return json.loads(received.partition(b"\r\n\r\n")[2])
