"""The end of a connection: the peer reads what was sent to it, and learns that there is no more."""

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
def test_a_client_that_sends_all_of_a_refused_upload_reads_the_refusal(run, by_limit):
    async def main():
        options = {"limit_body": 1000} if by_limit else {}
        async with serving(refusing, **options) as at:
            peer = await at.connect(HEAD % (UPLOAD, b""))
            await peer.send(b"x" * UPLOAD)
            assert (await peer.answer()).status == (413 if by_limit else 403)
            assert await peer.is_closed()

    run(main())


def test_a_slow_sender_of_a_refused_upload_reads_the_refusal(run):
    async def main():
        async with serving(refusing) as at:
            peer = await at.connect(HEAD % (UPLOAD, b""))
            for _ in range(6):  # longer than lingering took before
                await peer.send(b"x" * 500_000)
                await asyncio.sleep(0.5)
            assert (await peer.answer()).status == 403

    run(main())


def test_a_sender_that_never_ends_is_not_read_for_ever(run):
    async def main():
        async with serving(refusing, min_body_rate=1_000_000) as at:
            peer = await at.connect(HEAD % (UPLOAD, b""))
            began = time.monotonic()
            with pytest.raises(ConnectionError):
                while True:
                    await peer.send(b"x" * 10)
                    await asyncio.sleep(0.05)
                    assert time.monotonic() - began < 15
            assert time.monotonic() - began > 2

    run(main())


def test_the_peer_learns_of_the_end_although_a_child_holds_the_socket_too(run):
    """A child that the application has forked has every connection of its parent's, until it closes them."""

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


def test_a_response_that_breaks_off_is_not_taken_for_whole(run):
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
