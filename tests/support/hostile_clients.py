"""Hostile clients: slow, pipelining, half-closed, resetting, trickling, flooding. One coroutine for each kind.

Each connects, does what it is named for, and returns; whatever the server answers to that is fine.
"""

from __future__ import annotations

import asyncio
import os
import random
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

HOST = b"Host: corn\r\n"
WEBSOCKET = (
    b"GET /ws HTTP/1.1\r\n" + HOST + b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
LONGEST = 20.0  # seconds, the longest connection of a client


@dataclass
class Conversation:
    """Connection of a hostile client."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def rest(self, pause: float = 0.0) -> None:
        """Read to the end, with a pause after each piece."""
        while await self.reader.read(16384):
            await asyncio.sleep(pause)

    def reset(self) -> None:
        """Close with a TCP reset."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


async def read_slowly(talk: Conversation) -> None:
    await talk.send(b"GET /big HTTP/1.1\r\n" + HOST + b"\r\n")
    await talk.rest(0.05)


async def pipeline_and_read_nothing(talk: Conversation) -> None:
    await talk.send((b"GET /big HTTP/1.1\r\n" + HOST + b"\r\n") * 20)
    await asyncio.sleep(LONGEST)


async def half_close(talk: Conversation) -> None:
    await talk.send(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
    talk.writer.write_eof()
    await talk.rest()


async def disconnect_during_stream(talk: Conversation) -> None:
    await talk.send(b"GET /events HTTP/1.1\r\n" + HOST + b"\r\n")
    await talk.reader.read(100)


async def reset_during_response(talk: Conversation) -> None:
    await talk.send(b"GET /big HTTP/1.1\r\n" + HOST + b"\r\n")
    await talk.reader.read(1000)
    talk.reset()


async def expect_100_and_wait(talk: Conversation) -> None:
    await talk.send(b"POST /echo HTTP/1.1\r\n" + HOST + b"Content-Length: 1000\r\nExpect: 100-continue\r\n\r\n")
    await talk.reader.read(100)
    await asyncio.sleep(random.uniform(0, LONGEST))
    await talk.send(b"x" * 1000)
    await talk.reader.read(100)


async def trickle_head(talk: Conversation) -> None:
    for byte in b"GET / HTTP/1.1\r\n" + HOST * 20:
        await talk.send(bytes([byte]))
        await asyncio.sleep(0.1)


async def trickle_body(talk: Conversation) -> None:
    await talk.send(b"POST /echo HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n")
    while True:
        await talk.send(b"1\r\nx\r\n")
        await asyncio.sleep(0.2)


async def send_line_ends(talk: Conversation) -> None:
    for _ in range(16):
        await talk.send(b"\r\n" * 65536)


async def send_tiny_chunks(talk: Conversation) -> None:
    await talk.send(b"POST /echo HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 50_000)
    await talk.send(b"0\r\n\r\n")
    await talk.reader.read(100)


async def send_long_addresses(talk: Conversation) -> None:
    await talk.send(b"GET / HTTP/1.1\r\n" + HOST + b"X-Forwarded-For: " + b"1:" * 20_000 + b"\r\n\r\n")
    await talk.reader.read(100)


async def upload_refused_body(talk: Conversation) -> None:
    await talk.send(b"POST /refuse HTTP/1.1\r\n" + HOST + b"Content-Length: 5000000\r\n\r\n")
    await talk.send(bytes(5_000_000))
    await talk.reader.read(1000)


async def send_garbage(talk: Conversation) -> None:
    await talk.send(os.urandom(2000))
    await talk.reader.read(1000)


async def flood_with_pings(talk: Conversation) -> None:
    await talk.send(WEBSOCKET)
    await talk.reader.read(1000)
    for _ in range(100):
        await talk.send(b"\x89\x80\0\0\0\0" * 1000)


async def send_messages_and_read_nothing(talk: Conversation) -> None:
    await talk.send(WEBSOCKET)
    message = b"\x82\xfe\xff\xff\0\0\0\0" + bytes(65535)
    for _ in range(1000):
        await talk.send(message)


async def flood_with_settings(talk: Conversation) -> None:
    await talk.send(PREFACE)
    for _ in range(100):
        await talk.send(b"\0\0\0\4\0\0\0\0\0" * 1000)


async def flood_with_resets(talk: Conversation) -> None:
    await talk.send(PREFACE + b"\0\0\0\4\0\0\0\0\0")
    for number in range(1, 20_000, 2):
        stream = number.to_bytes(4, "big")
        head = b"\0\0\4\1\5" + stream + b"\x82\x84\x86\x41"[:4]
        await talk.send(head + b"\0\0\4\3\0" + stream + b"\0\0\0\x08")


KINDS: tuple[Callable[[Conversation], Awaitable[None]], ...] = (
    read_slowly,
    pipeline_and_read_nothing,
    half_close,
    disconnect_during_stream,
    reset_during_response,
    expect_100_and_wait,
    trickle_head,
    trickle_body,
    send_line_ends,
    send_tiny_chunks,
    send_long_addresses,
    upload_refused_body,
    send_garbage,
    flood_with_pings,
    send_messages_and_read_nothing,
    flood_with_settings,
    flood_with_resets,
)
