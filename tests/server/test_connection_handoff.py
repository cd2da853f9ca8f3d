"""Hand-off of idle connections from a draining worker to its replacement."""

import os
import socket

import pytest

from corn.ipc.scoreboard import Field
from corn.server.connection_handoff import ConnectionHandoff
from tests.support.asgi_server import serving, until

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def answering(text):
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": text})

    return app


@pytest.fixture
def mailbox():
    ends = socket.socketpair()
    opened = []

    def access():
        opened.append(ConnectionHandoff(*(os.dup(end.fileno()) for end in ends)))
        return opened[-1]

    yield access
    for end in (*ends, *(end for each in opened for end in (each._put, each._take))):
        end.close()


def test_idle_connections_are_handed_to_next_worker(run, mailbox):
    async def main():
        async with serving(answering(b"old"), mailbox=mailbox()) as old:
            used, fresh, late = await old.connect(GET), await old.connect(), await old.connect(GET)
            assert [(await each.answer()).body for each in (used, late)] == [b"old", b"old"]
            old.server.drain(grace=5, final=False, fast=True)
            await until(lambda: old.field(Field.CONNECTIONS) == 0)
            await used.send(GET)
            async with serving(answering(b"new"), mailbox=mailbox()) as new:
                assert (await used.answer()).body == b"new"
                assert (await fresh.request(GET)).body == b"new"
                assert (await late.request(GET)).body == b"new"
                assert new.field(Field.CONNECTIONS) == 3
                late.close()
                await until(lambda: new.field(Field.CONNECTIONS) == 2)

    run(main())


def test_connection_with_partial_request_is_not_handed_over(run, mailbox):
    async def main():
        async with serving(answering(b"old"), mailbox=mailbox()) as old:
            half = await old.connect(GET[:10])
            await until(lambda: any(each._held for each in old.server._service.connections))
            old.server.drain(grace=5, final=False, fast=True)
            await half.send(GET[10:])
            assert (await half.answer()).body == b"old"

    run(main())


def test_final_drain_closes_connections_without_handoff(run, mailbox):
    async def main():
        async with serving(answering(b"old"), mailbox=mailbox()) as old:
            peer = await old.connect(GET)
            await peer.answer()
            old.server.drain(grace=0.1, final=True, fast=True)
            assert await peer.is_closed()

    run(main())
