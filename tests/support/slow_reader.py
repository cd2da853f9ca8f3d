"""A client that reads at its own pace, over a connection whose kernel buffers hold little."""

import asyncio
import socket

from tests.support.asgi_server import Peer, Serving

BUFFER = 32768


def narrow_listener() -> socket.socket:
    """A listener whose connections have a small send buffer, so that a slow reader is felt at once."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    listener.setblocking(False)
    return listener


async def connect_slow(at: Serving, data: bytes) -> Peer:
    """A connection that has sent `data`, and receives little ahead of what is read."""
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
    """Read until `size` bytes came, `rate` a second; how many came before the end of the connection."""
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
