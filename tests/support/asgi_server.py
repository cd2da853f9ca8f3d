"""Server on a real socket in the test's event loop, and a client that sends raw bytes."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from corn.config import Config
from corn.ipc.scoreboard import Field, Scoreboard
from corn.server.server import Server


@dataclass
class Answer:
    """Response as received."""

    status: int
    headers: dict[str, str]
    body: bytes
    lines: list[bytes]


class Peer:
    """Client connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self, *, head_only: bool = False) -> Answer:
        """Read one response."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        lines = head[:-4].split(b"\r\n")
        headers: dict[str, str] = {}
        for line in lines[1:]:
            name, _, value = line.decode("latin-1").partition(": ")
            headers[name.lower()] = value
        status = int(lines[0].split(b" ")[1])
        body = b"" if head_only or status < 200 or status in (204, 304) else await self._body(headers)
        return Answer(status, headers, body, lines)

    async def _body(self, headers: dict[str, str]) -> bytes:
        if "content-length" in headers:
            return await self.reader.readexactly(int(headers["content-length"]))
        if headers.get("transfer-encoding") != "chunked":
            return await self.reader.read()
        parts = []
        while size := int(await self.reader.readuntil(b"\r\n"), 16):
            parts.append(await self.reader.readexactly(size))
            assert await self.reader.readexactly(2) == b"\r\n"
        while await self.reader.readuntil(b"\r\n") != b"\r\n":
            pass
        return b"".join(parts)

    async def request(self, data: bytes) -> Answer:
        await self.send(data)
        return await self.answer()

    async def is_closed(self) -> bool:
        """Whether the server closes the connection without sending more."""
        try:
            return await self.reader.read(1) == b""
        except ConnectionError:
            return True

    async def everything(self) -> bytes:
        return await self.reader.read()

    def close(self) -> None:
        self.writer.close()


class Serving:
    """Server under test."""

    def __init__(self, server: Server, slots: Scoreboard, address: Any) -> None:
        self.server = server
        self.slots = slots
        self.address = address
        self.peers: list[Peer] = []

    def field(self, field: Field) -> int:
        return int(self.slots.cell(0).words[field])

    async def connect(self, data: bytes = b"", **tls: Any) -> Peer:
        """Open a connection; arguments of asyncio's TLS support make it use TLS."""
        opening = asyncio.open_unix_connection if isinstance(self.address, str) else asyncio.open_connection
        where = (self.address,) if isinstance(self.address, str) else self.address[:2]
        peer = Peer(*await opening(*where, **tls))
        self.peers.append(peer)
        if data:
            await peer.send(data)
        return peer

    async def abort_peers(self) -> None:
        """Abort connections that a TLS shutdown keeps open; their ResourceWarning would appear in another test."""
        for peer in self.peers:
            peer.writer.transport.abort()
        await asyncio.sleep(0)

    async def request(self, data: bytes) -> Answer:
        peer = await self.connect(data)
        answer = await peer.answer()
        peer.close()
        return answer


def listen() -> socket.socket:
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    listener.setblocking(False)
    return listener


def listen_unix(path: str) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(128)
    return listener


@contextlib.asynccontextmanager
async def serving(
    app: Any,
    *,
    listener: socket.socket | None = None,
    on_retire: Any = None,
    tls: Any = None,
    mailbox: Any = None,
    **options: Any,
) -> AsyncIterator[Serving]:
    """Serve `app` within the block, then stop without grace."""
    slots = Scoreboard.create()
    listener = listener or listen()
    address = listener.getsockname()
    options = {"access_log": False, "lifespan": "off", **options}
    more = {"on_retire": on_retire} if on_retire else {}
    server = Server(app, Config(**options), [listener], slots=slots, cell=0, tls=tls, mailbox=mailbox, **more)
    try:
        await server.start()
    except BaseException:
        listener.close()
        slots.close()
        raise
    server.accept()
    running = Serving(server, slots, address)
    try:
        yield running
    finally:
        for peer in running.peers:
            peer.close()
        await see_peers_close()
        server.drain(grace=0, final=False)
        await server.wait_closed()
        await running.abort_peers()
        slots.close()


async def see_peers_close() -> None:
    """Let a server see that its peers have closed; otherwise its drain looks for it again after 20 ms."""
    for _ in range(3):
        await asyncio.sleep(0)


async def until(condition: Any) -> None:
    """Wait until `condition()` holds; the test's deadline bounds it."""
    while not condition():
        await asyncio.sleep(0.005)


async def hello(scope: Any, receive: Any, send: Any) -> None:
    """Minimal application."""
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"5")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"hello"})


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Application that responds with the request's body."""
    parts, more = [], True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        parts.append(message["body"])
        more = message["more_body"]
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-method", scope["method"].encode())]})
    await send({"type": "http.response.body", "body": b"".join(parts)})
