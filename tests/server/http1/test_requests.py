"""The table of raw requests in tests/requests: each run whole, byte by byte, and split in two at every byte.

A connection over a real socket pair is fed directly, so that the pieces arrive exactly as they were cut.
"""

import asyncio
import socket
import sys
from pathlib import Path

import pytest

from corn.config import Config
from corn.ipc.scoreboard import Scoreboard
from corn.server.asgi.scope import Endpoints
from corn.server.server import Server
from tests.support.asgi_server import see_peers_close

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TABLE = Path(__file__).parents[2] / "requests"
SMALL = 2000  # bytes; of larger files only some splits are tried


def files(kind):
    return [pytest.param(each, id=each.stem) for each in sorted((TABLE / kind).glob("*.http"))]


class Recorder:
    """An application that remembers each request that it received completely."""

    def __init__(self):
        self.requests = []

    async def __call__(self, scope, receive, send):
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message["body"]
            more = message["more_body"]
        self.requests.append((scope, body))
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})


def pieces_of(data):
    """The ways in which `data` may arrive."""
    yield [data]
    step = 1 if len(data) <= SMALL else 997
    yield [data[start : start + step] for start in range(0, len(data), step)]
    for position in range(1, len(data), 1 if len(data) <= SMALL else len(data) // 20):
        yield [data[:position], data[position:]]


class Table:
    """A server to which one connection after the other is fed."""

    def __init__(self):
        self.app = Recorder()
        config = Config(access_log=False, lifespan="off", http="1")
        slots = Scoreboard.create()
        self.server = Server(self.app, config, [], slots=slots, cell=0)
        slots.close()  # the server has its cell

    async def connect(self):
        """A protocol of the server's with its transport, and the peer's reader and writer."""
        self.app.requests = []
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        protocol = self.server._protocols.first(ours, Endpoints(("127.0.0.1", 1), ("127.0.0.1", 80), "http"))
        self.server._service.metrics.opened()
        transport, _ = await asyncio.get_running_loop().connect_accepted_socket(lambda: protocol, ours)
        return protocol, transport, *await asyncio.open_connection(sock=theirs)

    async def feed(self, pieces):
        """Feed the pieces, then end the sending side, and read until the server has closed."""
        protocol, transport, reader, writer = await self.connect()
        for piece in pieces:
            if transport.is_closing() or transport.get_protocol() is not protocol:
                break
            protocol.data_received(piece)
            await asyncio.sleep(0)
        writer.write_eof()
        answers = await reader.read()
        assert answers[:9] in (b"", b"HTTP/1.1 ")
        writer.close()

    async def responses_to(self, pieces, expected):
        """Feed the pieces; the statuses of the responses, whether the connection closes then, and the requests."""
        protocol, transport, reader, writer = await self.connect()
        for piece in pieces:
            if transport.is_closing() or transport.get_protocol() is not protocol:
                break
            protocol.data_received(piece)
            await asyncio.sleep(0)
        statuses = []
        while len(statuses) < expected and 400 not in statuses:
            head = await reader.readuntil(b"\r\n\r\n")
            status = int(head.split(b" ")[1])
            if status >= 200:
                statuses.append(status)
                assert head.lower().count(b"\r\nconnection:") <= 1
        closes = transport.is_closing() or transport.get_protocol() is not protocol
        if closes:
            assert b"HTTP/1.1 " not in await reader.read()
        writer.close()
        return statuses, closes, self.app.requests

    async def close(self):
        await see_peers_close()
        self.server.drain(grace=0, final=False)
        await self.server.wait_closed()


async def with_table(main):
    table = Table()
    try:
        await main(table)
    finally:
        await table.close()


def check_request(expected, scope, body):
    headers = dict(reversed(scope["headers"]))
    assert scope["method"] == expected["method"]
    assert scope["path"] == expected["path"]
    assert scope["query_string"] == expected.get("query", "").encode()
    assert body == expected.get("body", "").encode("latin-1")
    assert scope["http_version"] == expected.get("version", "1.1")
    if "raw_path" in expected:
        assert scope["raw_path"] == expected["raw_path"].encode()
    if "host" in expected:
        assert headers[b"host"] == expected["host"].encode()
    if "field_name" in expected:
        assert headers[expected["field_name"].encode()] == expected["field_value"].encode("latin-1")


@pytest.mark.parametrize("file", files("valid"))
def test_valid_request_is_parsed(run, file):
    expectation = tomllib.loads(file.with_suffix(".toml").read_text())
    wanted = expectation["request"]

    async def main(table):
        for pieces in pieces_of(file.read_bytes()):
            statuses, closes, requests = await table.responses_to(pieces, len(wanted))
            assert statuses == [200] * len(wanted)
            assert closes == expectation.get("closes", False)
            assert len(requests) == len(wanted)
            for expected, (scope, body) in zip(wanted, requests, strict=True):
                check_request(expected, scope, body)

    run(with_table(main))


@pytest.mark.parametrize("file", files("invalid"))
def test_invalid_request_is_refused(run, file):
    expectation = tomllib.loads(file.with_suffix(".toml").read_text())
    before = expectation.get("answered_before", 0)

    async def main(table):
        for pieces in pieces_of(file.read_bytes()):
            statuses, closes, requests = await table.responses_to(pieces, before + 1)
            assert statuses == [200] * before + [expectation["status"]]
            assert closes
            assert len(requests) == before

    run(with_table(main))
