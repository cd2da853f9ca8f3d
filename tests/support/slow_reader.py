"""Slow client, on a connection with small kernel buffers."""

import asyncio
import socket

from tests.support.asgi_server import Peer, Serving

BUFFER = 32768


def narrow_listener() -> socket.socket:
    """Listener whose connections have a small send buffer, so that a slow client blocks the server soon."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    listener.setblocking(False)
    return listener


async def connect_slow(at: Serving, data: bytes) -> Peer:
    """Connection that has sent `data` and has a small receive buffer."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, at.address[:2])
    reader, writer = await asyncio.open_connection(sock=sock, limit=BUFFER // 2)
    writer.write(data)
    await writer.drain()
    at.peers.append(Peer(reader, writer))
    return at.peers[-1]


async def read_steadily(peer: Peer, size: int, rate: float) -> int:
    """Read `size` bytes, `rate` a second; returns the number read before the end of the connection."""
    got, loop = 0, asyncio.get_running_loop()
    began = loop.time()
    while got < size:
        try:
            data = await peer.reader.read(min(65536, size - got))
        except ConnectionError:
            break
        if not data:
            break
        got += len(data)
        await asyncio.sleep(max(0.0, began + got / rate - loop.time()))
    return got
