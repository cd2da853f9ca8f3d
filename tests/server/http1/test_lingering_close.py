"""Close of an HTTP/1.1 connection: lingering close, end of file and reset."""

import asyncio
import os
import signal
import socket
import time

import pytest

from tests.support.asgi_server import hello, serving

UPLOAD = 30_000_000
HEAD = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n%b\r\n"


async def refusing(scope, receive, send):
    headers = [(b"content-length", b"2"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": b"no"})


@pytest.mark.parametrize("by_limit", [True, False])
def test_refused_upload_sent_at_once_reads_error_response(run, by_limit):
    async def main():
        options = {"limit_body": 1000} if by_limit else {}
        async with serving(refusing, **options) as at:
            peer = await at.connect(HEAD % (UPLOAD, b""))
            await peer.send(b"x" * UPLOAD)
            assert (await peer.answer()).status == (413 if by_limit else 403)
            assert await peer.is_closed()

    run(main())


def test_refused_upload_sent_slowly_reads_error_response(run):
    async def main():
        async with serving(refusing) as at:
            peer = await at.connect(HEAD % (UPLOAD, b""))
            for _ in range(6):  # longer than lingering took before
                await peer.send(b"x" * 500_000)
                await asyncio.sleep(0.5)
            assert (await peer.answer()).status == 403

    run(main())


def test_lingering_close_of_endless_upload_resets_connection(run):
    async def main():
        async with serving(refusing, min_body_rate=1_000_000) as at:
            peer = await at.connect(HEAD % (UPLOAD, b""))
            began = time.monotonic()
            with pytest.raises(ConnectionError):
                while True:
                    await peer.send(b"x" * 10)
                    await asyncio.sleep(0.05)
            assert time.monotonic() - began > 2

    run(main())


def test_close_of_socket_inherited_by_child_sends_eof(run):
    """A forked child inherits all connections, so close(2) alone does not send a FIN."""

    async def app(scope, receive, send):
        pid = os.fork()
        if pid == 0:
            signal.pause()
        children.append(pid)
        await hello(scope, receive, send)

    children = []

    async def main():
        async with serving(app, timeout_keep_alive=0.5) as at:
            for fields in (b"Connection: close\r\n", b""):
                peer = await at.connect(b"GET / HTTP/1.1\r\nHost: x\r\n%b\r\n" % fields)
                assert (await peer.answer()).status == 200
                assert await peer.is_closed()

    try:
        run(main())
    finally:
        for each in children:
            os.kill(each, signal.SIGKILL)
            os.waitpid(each, 0)


def test_truncated_response_without_length_resets_connection(run):
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
        raise ValueError

    async def main():
        async with serving(app) as at:
            with socket.create_connection(at.address[:2]) as sock:
                sock.setblocking(False)
                loop = asyncio.get_running_loop()
                await loop.sock_sendall(sock, b"GET / HTTP/1.0\r\n\r\n")
                with pytest.raises(ConnectionResetError):
                    while await loop.sock_recv(sock, 1000):
                        pass

    run(main())
