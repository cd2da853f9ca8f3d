"""Batched writes of the responses of one event-loop iteration."""

import asyncio
import socket
import time

import pytest

from corn.server import turn_writer
from corn.server.turn_writer import STEP, TurnWriter
from corn.system.readiness import readable
from tests.conftest import DEADLINE
from tests.support.asgi_server import hello, serving

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
LONG = 20 * STEP


class Connection:
    """Connection with buffered output."""

    def __init__(self):
        self.flushed = 0

    def flush(self):
        self.flushed += 1


async def quick_turns(turn):
    """Run loop iterations with quick steps, until responses are held: each preemption of the process delays that."""
    deadline = time.monotonic() + 20
    while not turn.holds:
        assert time.monotonic() < deadline, "quick steps, and responses are not held"
        for _ in range(5):
            turn.finished(time.monotonic())
        await asyncio.sleep(0)


@pytest.fixture
def no_long_steps(monkeypatch):
    """Count no step as long: on a loaded machine a worker might never hold responses."""
    monkeypatch.setattr(turn_writer, "STEP", DEADLINE)
    monkeypatch.setattr(turn_writer, "_LAST_STEP_LIMIT", DEADLINE)


async def warm(at, peers=8):
    """Concurrent requests, until the worker holds responses."""
    connected = [await at.connect() for _ in range(peers)]
    for _ in range(100):
        if at.server._service.turn.holds:
            return connected
        for peer in connected:
            peer.writer.write(GET)
        for peer in connected:
            await peer.answer()
    pytest.fail("a hundred turns of quick requests, and responses are not held")


class Clients:
    """Connections whose requests arrive in the same loop iteration, and their responses."""

    def __init__(self, address, count):
        self.sockets = [socket.create_connection(address) for _ in range(count)]

    def send(self, data=GET):
        for each in self.sockets:
            each.sendall(data)

    def answered(self):
        """Number of clients with data to read."""
        return len(readable(*self.sockets, timeout=0))

    async def read(self, count):
        """Wait until so many can read something, and take it."""
        while self.answered() < count:
            await asyncio.sleep(0.001)
        return [each.recv(65536) for each in self.sockets]

    def close(self):
        for each in self.sockets:
            each.close()


@pytest.fixture
def clients():
    """Factory of clients that are closed after the test."""
    made = []

    def connect(address, count):
        made.append(Clients(address, count))
        return made[-1]

    yield connect
    for each in made:
        each.close()


def test_output_is_flushed_in_next_loop_iteration(run):
    async def main():
        turn, connection = TurnWriter(asyncio.get_running_loop()), Connection()
        turn.add(connection)
        assert connection.flushed == 0
        await asyncio.sleep(0)
        assert connection.flushed == 1

    run(main())


def test_responses_are_held_after_quick_steps(run):
    async def main():
        turn = TurnWriter(asyncio.get_running_loop())
        assert not turn.holds
        await quick_turns(turn)

    run(main())


def test_long_step_flushes_held_output_and_ends_holding(run):
    async def main():
        turn, connection = TurnWriter(asyncio.get_running_loop()), Connection()
        await quick_turns(turn)
        turn.add(connection)
        turn.finished(time.monotonic())
        time.sleep(LONG)
        turn.finished(time.monotonic())
        assert connection.flushed == 1
        assert not turn.holds

    run(main())


@pytest.mark.parametrize("ends_by", ["loop iteration", "long step"])
def test_flush_failure_does_not_affect_other_connections(run, ends_by):
    class Faulty(Connection):
        def flush(self):
            raise RuntimeError("Cannot call write() after write_eof()")

    async def main():
        loop, reported = asyncio.get_running_loop(), []
        loop.set_exception_handler(lambda _, context: reported.append(str(context["exception"])))
        turn, connections = TurnWriter(loop), [Connection(), Faulty(), Connection()]
        for each in connections:
            turn.add(each)
        if ends_by == "long step":
            turn.finished(time.monotonic())
            turn.finished(time.monotonic() + LONG)
        else:
            await asyncio.sleep(0)
        assert [each.flushed for each in connections] == [1, 0, 1]
        assert reported == ["Cannot call write() after write_eof()"]

    run(main())


def test_held_output_is_flushed_after_one_millisecond(run):
    async def main():
        turn, connection = TurnWriter(asyncio.get_running_loop()), Connection()
        await quick_turns(turn)
        now = time.monotonic()
        turn.finished(now)
        turn.add(connection)
        for step in range(1, 5):
            turn.finished(now + step * STEP / 2)
        assert connection.flushed == 1

    run(main())


def test_long_last_step_of_iteration_ends_holding(run):
    async def main():
        turn = TurnWriter(asyncio.get_running_loop())
        await quick_turns(turn)
        turn.finished(time.monotonic())
        time.sleep(LONG)
        await asyncio.sleep(0)
        assert not turn.holds
        await quick_turns(turn)

    run(main())


@pytest.mark.usefixtures("no_long_steps")
def test_held_responses_are_written_after_all_applications_ran(run, clients):
    seen = []

    async def app(scope, receive, send):
        if measured:
            seen.append(measured[0].answered())
        await hello(scope, receive, send)

    measured = []

    async def main():
        async with serving(app) as at:
            await warm(at)
            some = clients(at.address, 4)
            some.send()
            await some.read(4)
            measured.append(some)
            for _ in range(20):
                some.send()
                await some.read(4)
                if seen[-4:] == [0, 0, 0, 0]:
                    return
            pytest.fail(f"no turn of four in which the responses came last: {seen}")

    run(main())


def test_response_is_written_before_next_blocking_application_runs(run, clients):
    seen = []

    async def app(scope, receive, send):
        seen.append(some.answered())
        time.sleep(0.05)
        await hello(scope, receive, send)

    some = None

    async def main():
        nonlocal some
        async with serving(app) as at:
            some = clients(at.address, 3)
            for _ in range(2):
                some.send()
                await some.read(3)
        assert [seen[:3], seen[3:]] == [[0, 1, 2], [0, 1, 2]]

    run(main())


@pytest.mark.parametrize("count", [1, 2, 8, 64])
@pytest.mark.usefixtures("no_long_steps")
def test_held_responses_keep_order_on_each_connection(run, count):
    async def app(scope, receive, send):
        if scope["path"] == "/stream":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"hel", "more_body": True})
            await send({"type": "http.response.body", "body": b"lo"})
        else:
            await hello(scope, receive, send)

    async def main():
        async with serving(app) as at:
            await warm(at)
            peers = [await at.connect() for _ in range(count)]
            three = GET + GET.replace(b"/ ", b"/stream ", 1) + GET
            for _ in range(3):
                for peer in peers:
                    peer.writer.write(three)
                for peer in peers:
                    answers = [await peer.answer() for _ in range(3)]
                    assert [each.body for each in answers] == [b"hello"] * 3
                    assert [("content-length" in each.headers) for each in answers] == [True, False, True]

    run(main())


@pytest.mark.parametrize("last", [b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", b"GET / HTTP/1.0\r\n\r\n"])
@pytest.mark.parametrize("half_closes", [False, True])
@pytest.mark.usefixtures("no_long_steps")
def test_held_response_is_written_before_close(run, last, half_closes):
    async def main():
        async with serving(hello) as at:
            others = await warm(at)
            peers = [await at.connect() for _ in range(4)]
            for peer in (*others, *peers):
                peer.writer.write(GET + (last if peer in peers else b""))
                if half_closes and peer in peers:
                    peer.writer.write_eof()
            for peer in peers:
                assert (await peer.everything()).count(b"hello") == 2

    run(main())


@pytest.mark.usefixtures("no_long_steps")
def test_disconnected_client_does_not_affect_held_responses(run, clients):
    async def main():
        async with serving(hello) as at:
            peers = await warm(at)
            for _ in range(20):
                leaving = clients(at.address, 4)
                leaving.send()
                for peer in peers:
                    peer.writer.write(GET)
                leaving.close()
                for peer in peers:
                    assert (await peer.answer()).body == b"hello"

    run(main())
