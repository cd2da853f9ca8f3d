"""Status 499 of clients that left before their response was delivered, in the access log and in the counters."""

import asyncio
import contextlib
import json
import socket
import struct

import pytest

from corn.server.http2.frames import HEADERS, PREFACE, RST_STREAM, SETTINGS, frame
from corn.supervisor.monitoring.counters import reading_of
from tests.server.tls.test_tls import tls_of
from tests.support.asgi_server import serving, until
from tests.support.certificates import Issued, client

BIG = bytes(20_000_000)
START = {"type": "http.response.start", "status": 200, "headers": []}


async def app(scope, receive, send):
    path = scope["path"]
    if path == "/silent":
        while (await receive())["type"] != "http.disconnect":
            pass
        return
    if path == "/late":
        await receive()
        await receive()
    await send(START)
    if path == "/parts":
        while True:
            await send({"type": "http.response.body", "body": BIG[:100_000], "more_body": True})
    if path == "/fail":
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
        raise RuntimeError("as asked")
    await send({"type": "http.response.body", "body": BIG if path == "/big" else b"hello"})


def get(path, fields=b""):
    return b"GET " + path + b" HTTP/1.1\r\nHost: corn\r\n" + fields + b"\r\n"


def h2_get(*paths):
    heads = [
        frame(HEADERS, 5, 2 * number + 1, b"\x82\x86\x04" + bytes([len(path)]) + path + b"\x01\x04corn")
        for number, path in enumerate(paths)
    ]
    return PREFACE + frame(SETTINGS, 0, 0, b"") + b"".join(heads)


async def leave(peer):
    peer.close()


async def reset(peer):
    sock = peer.writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.writer.transport.abort()


async def close_the_sending_side(peer):
    peer.writer.write_eof()
    await peer.everything()


async def read_all(peer):
    await peer.reader.readexactly(len(BIG))  # the head included


async def reset_the_stream(peer):
    await peer.reader.read(100_000)
    await peer.send(frame(RST_STREAM, 0, 1, b"\0\0\0\x08"))


async def read_some(peer):
    await peer.reader.readuntil(b"hello")


HTTP1 = [
    (get(b"/silent"), reset, [499]),
    (get(b"/silent"), leave, [499]),
    (get(b"/big"), reset, [499]),
    (get(b"/big"), leave, [499]),
    (get(b"/big", b"Connection: close\r\n"), reset, [499]),
    (get(b"/parts"), reset, [499]),
    (get(b"/parts"), leave, [499]),
    (get(b"/"), close_the_sending_side, [200]),
    (get(b"/late"), close_the_sending_side, [200]),
    (get(b"/big"), close_the_sending_side, [200]),
    (get(b"/big"), read_all, [200]),
    (get(b"/big", b"Connection: close\r\n"), read_all, [200]),
    (get(b"/fail"), close_the_sending_side, [200]),
    (get(b"/") + get(b"/big") + get(b"/"), reset, [200, 499]),
    (b"POST / HTTP/1.1\r\nHost: corn\r\nContent-Length: 900\r\n\r\n", close_the_sending_side, [200]),
    (b"POST /silent HTTP/1.1\r\nHost: corn\r\nContent-Length: 900\r\n\r\n", leave, [499]),
]
HTTP2 = [
    (h2_get(b"/silent"), reset, [499]),
    (h2_get(b"/big"), reset, [499]),
    (h2_get(b"/parts"), reset, [499]),
    (h2_get(b"/big"), reset_the_stream, [499]),
    (h2_get(b"/silent"), reset_the_stream, [499]),
    (h2_get(b"/fail"), leave, [200]),
    (h2_get(b"/", b"/"), read_some, [200, 200]),
]


def name_of(value):
    if callable(value):
        return value.__name__
    return "-".join(map(str, value)) if isinstance(value, list) else ""


@pytest.mark.parametrize(("request_", "ending", "statuses"), [*HTTP1, *HTTP2], ids=name_of)
def test_status_of_ended_connection_is_that_of_delivery(run, tmp_path, request_, ending, statuses):
    assert run(statuses_of(tmp_path / "log", request_, ending, len(statuses))) == statuses


@pytest.mark.parametrize(("ending", "status"), [(reset, 499), (read_all, 200)], ids=["reset", "read"])
def test_status_over_tls_is_that_of_delivery(run, tmp_path, ending, status):
    tls = {"ssl": client(), "server_hostname": "localhost"}
    found = statuses_of(tmp_path / "log", get(b"/big"), ending, 1, tls, tls=tls_of(Issued(tmp_path, "localhost")))
    assert run(found) == [status]


def test_large_response_is_logged_when_it_is_read(run, tmp_path):
    path = tmp_path / "log"

    async def main():
        async with serving(app, access_log=True, access_log_file=str(path), log_format="json") as at:
            peer = await at.connect(get(b"/big"))
            await peer.reader.readexactly(1000)
            assert (await at.request(get(b"/"))).status == 200
            await until(lambda: lines_of(path))
            assert [line["path"] for line in lines_of(path)] == ["/"]
            await peer.reader.readexactly(len(BIG) - 1000)
            await until(lambda: len(lines_of(path)) == 2)
        return [line["status"] for line in lines_of(path)]

    assert run(main()) == [200, 200]


def lines_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


async def statuses_of(path, request, ending, count, connection=None, **options):
    """Statuses that are logged when a client has sent a request and left."""
    async with serving(app, access_log=True, access_log_file=str(path), log_format="json", **options) as at:
        peer = await at.connect(request, **connection or {})
        await until(lambda: at.server._service.running or lines_of(path))
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await ending(peer)
        await until(lambda: len(lines_of(path)) == count)
        found = [line["status"] for line in lines_of(path)]
        assert reading_of(at.slots.cell(0)).statuses[4] == found.count(499)
        return found
