"""Request path: the files of corn that a request passes, on a connection that has served others."""

import sys
from pathlib import Path

import websockets.asyncio.client

import corn
from tests.support.asgi_server import hello, serving
from tests.support.http2_peer import connect
from tests.support.websocket_peer import at_port, echo

PACKAGE = str(Path(corn.__file__).parent)


async def passed_by(exchange):
    """Files whose functions an exchange of a client calls: the fewest of three, since the worker's clock may tick."""
    for _ in range(4):
        await exchange()
    return min([await _recorded(exchange) for _ in range(3)], key=len)


async def _recorded(exchange):
    files = set()

    def record(frame, event, _):
        if event == "call" and frame.f_code.co_filename.startswith(PACKAGE):
            files.add(frame.f_code.co_filename.removeprefix(PACKAGE))

    before = sys.getprofile()
    sys.setprofile(record)
    try:
        await exchange()
    finally:
        sys.setprofile(before)
    return files


def test_get_on_kept_connection_passes_at_most_6_files(run):
    async def main():
        async with serving(hello) as at:
            peer = await at.connect()
            files = await passed_by(lambda: peer.request(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
            assert 4 < len(files) <= 6, files

    run(main())


def test_websocket_echo_passes_at_most_5_files(run):
    async def main():
        async with serving(echo) as at, websockets.asyncio.client.connect(at_port(at), compression=None) as peer:

            async def exchange():
                await peer.send("hello")
                assert await peer.recv() == "hello"

            files = await passed_by(exchange)
            assert 4 < len(files) <= 5, files

    run(main())


def test_get_over_http2_passes_at_most_14_files(run):
    async def main():
        async with serving(hello) as at:
            peer = await connect(at)
            files = await passed_by(peer.request)
            assert 4 < len(files) <= 14, files

    run(main())
