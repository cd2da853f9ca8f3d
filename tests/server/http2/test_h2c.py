"""HTTP/2 on plain-text connections: prior knowledge and the h2c upgrade."""

import asyncio
import base64

import pytest

from tests.support.asgi_server import echo, hello, serving
from tests.support.http2_peer import POST, H2Peer, Response, connect


def test_h2c_upgrade_answers_request_on_stream_1(run):
    async def main():
        async with serving(echo, h2c_upgrade=True) as at:
            peer = await at.connect()
            client = H2Peer(peer)
            settings = client.h2.initiate_upgrade_connection()
            await peer.send(
                b"GET /up HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
                b"HTTP2-Settings: " + settings + b"\r\n\r\n"
            )
            assert b"101 Switching" in await peer.reader.readuntil(b"\r\n\r\n")
            client.responses[1] = Response()
            await client.flush()
            assert (await client.response(1)).header("x-method") == "GET"
            assert (await client.request(POST, b"abc")).body == b"abc"

    run(main())


@pytest.mark.parametrize("options", [{}, {"h2c_upgrade": False}, {"h2c_upgrade": True, "http": "1"}])
def test_h2c_upgrade_is_disabled_by_default(run, options):
    """A proxy that forwards these fields would not see the following requests."""

    async def main():
        async with serving(hello, **options) as at:
            answer = await at.request(
                b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
                b"HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n"
            )
            assert (answer.status, answer.body) == (200, b"hello")

    run(main())


@pytest.mark.parametrize(
    "fields",
    [
        b"Connection: Upgrade\r\nUpgrade: h2c\r\n",
        b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: \xff\r\n",
        b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: "
        + base64.urlsafe_b64encode(b"\0\2\0\0\0\7").strip(b"=")
        + b"\r\n",
        b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: \r\nX-Forwarded-For: 1.2.3.4\r\n",
    ],
)
def test_h2c_upgrade_with_incomplete_fields_is_ignored(run, fields):
    async def main():
        async with serving(hello, h2c_upgrade=True) as at:
            answer = await at.request(b"GET / HTTP/1.1\r\nHost: x\r\n" + fields + b"\r\n")
            assert (answer.status, answer.body) == (200, b"hello")

    run(main())


def test_preface_sent_bytewise_is_accepted(run):
    async def main():
        async with serving(hello) as at:
            peer = await at.connect()
            client = H2Peer(peer)
            client.h2.initiate_connection()
            for byte in client.h2.data_to_send():
                await peer.send(bytes((byte,)))
                await asyncio.sleep(0)
            assert (await client.request()).status == 200

    run(main())


def test_preface_after_first_request_is_refused(run):
    async def main():
        async with serving(hello) as at:
            peer = await at.connect()
            await peer.request(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await peer.request(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")).status == 505

    run(main())


def test_http_option_restricts_versions(run):
    async def main():
        async with serving(hello, http="1") as at:
            answer = await at.request(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            assert answer.status == 505
        async with serving(hello, http="2") as at:
            answer = await at.request(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert answer.status == 505
            assert b"HTTP/2 only" in answer.body
            assert (await (await connect(at)).request()).status == 200

    run(main())
