"""Graceful drain of a worker."""

import asyncio
import gc

import psutil
import pytest

from corn.ipc.scoreboard import Field
from tests.support.asgi_server import hello, listen, listen_unix, serving, until

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def gated():
    gate = asyncio.Event()
    started = asyncio.Event()

    async def app(scope, receive, send):
        started.set()
        await gate.wait()
        await hello(scope, receive, send)

    return app, gate, started


def test_drain_finishes_in_flight_request_with_connection_close(run):
    async def main():
        app, gate, started = gated()
        async with serving(app) as at:
            peer = await at.connect(GET)
            await started.wait()
            at.server.drain(grace=10, final=False)
            assert at.field(Field.ACCEPTING) == 0
            gate.set()
            answer = await peer.answer()
            assert (answer.body, answer.headers["connection"]) == (b"hello", "close")
            assert await peer.is_closed()
            peer.close()
            await at.server.wait_closed()

    run(main())


def test_drain_answers_first_request_of_open_connection(run):
    async def main():
        async with serving(hello) as at:
            peer = await at.connect()
            await until(lambda: at.field(Field.CONNECTIONS) == 1)
            at.server.drain(grace=10, final=False)
            await asyncio.sleep(0.05)  # it has a second, and the drain looks at it every 20 ms
            answer = await peer.request(GET)
            assert (answer.body, answer.headers["connection"]) == (b"hello", "close")

    run(main())


def test_drain_answers_one_more_request_of_idle_connection(run):
    async def main():
        async with serving(hello) as at:
            peer = await at.connect(GET)
            await peer.answer()
            at.server.drain(grace=10, final=False)
            await asyncio.sleep(0.2)
            answer = await peer.request(GET)
            assert (answer.body, answer.headers["connection"]) == (b"hello", "close")
            assert await peer.is_closed()

    run(main())


def test_drain_spreads_close_of_idle_connections(run):
    async def main():
        async with serving(hello) as at:
            peers = [await at.connect(GET) for _ in range(10)]
            for peer in peers:
                await peer.answer()
            service = at.server._service
            at.server.drain(grace=10, final=True)
            ends = sorted(each.deadline - service.clock.now for each in service.connections)
            assert ends == pytest.approx([number / 10 for number in range(1, 11)])
            for peer in peers:
                assert await peer.is_closed()
            await at.server.wait_closed()

    run(main())


def test_drain_answers_all_pipelined_requests(run):
    async def main():
        app, gate, started = gated()
        async with serving(app) as at:
            peer = await at.connect(GET * 3)
            await started.wait()
            at.server.drain(grace=10, final=False)
            gate.set()
            answers = [await peer.answer() for _ in range(3)]
            assert [each.headers.get("connection") for each in answers] == [None, None, "close"]

    run(main())


@pytest.mark.parametrize("unix", [False, True])
def test_final_drain_answers_queued_connections(run, tmp_path, unix):
    async def main():
        listener = listen_unix(str(tmp_path / "socket")) if unix else listen()
        async with serving(hello, listener=listener) as at:
            peers = [await at.connect(GET) for _ in range(20)]
            at.server.drain(grace=10, final=True)
            for peer in peers:
                assert (await peer.answer()).body == b"hello"
            for peer in peers:
                peer.close()
            await at.server.wait_closed()
            with pytest.raises(OSError):
                await at.connect()

    run(main())


def test_drain_past_grace_cancels_request_with_503(run):
    async def main():
        app, _, started = gated()
        async with serving(app) as at:
            peer = await at.connect(GET)
            await started.wait()
            at.server.drain(grace=0.2, final=True)
            answer = await peer.answer()
            assert (answer.status, answer.headers["connection"]) == (503, "close")
            await at.server.wait_closed()

    run(main())


def test_drain_past_grace_abandons_uncancellable_task(run):
    over = asyncio.Event()

    async def uncancellable(scope, receive, send):
        while not over.is_set():
            try:
                await over.wait()
            except asyncio.CancelledError:
                continue

    async def main():
        async with serving(uncancellable) as at:
            await at.connect(GET)
            await until(lambda: at.server._service.running)
            at.server.drain(grace=0, final=True)
            await at.server.wait_closed()
            over.set()
            await asyncio.gather(*(cycle.task for cycle in at.server._service.running), return_exceptions=True)

    run(main())


def test_repeated_drain_only_shortens_grace(run):
    async def main():
        app, _, started = gated()
        async with serving(app) as at:
            await at.connect(GET)
            await started.wait()
            at.server.drain(grace=600, final=False)
            at.server.drain(grace=900, final=False)
            at.server.drain(grace=0, final=True)
            await at.server.wait_closed()

    run(main())


def test_drain_waits_for_background_task(run):
    done = []

    async def app(scope, receive, send):
        await hello(scope, receive, send)
        await asyncio.sleep(0.3)
        done.append(1)

    async def main():
        async with serving(app) as at:
            peer = await at.connect(GET)
            await peer.answer()
            peer.close()
            at.server.drain(grace=10, final=True)
            await at.server.wait_closed()

    run(main())
    assert done == [1]


def test_limit_max_requests_asks_for_replacement_once(run):
    reasons = []

    async def main():
        async with serving(hello, on_retire=reasons.append, limit_max_requests=3) as at:
            peer = await at.connect(GET)
            for _ in range(9):
                await peer.request(GET)

    run(main())
    assert reasons == ["max requests"]


def test_stopped_server_leaves_no_descriptor_open(run):
    async def main():
        async with serving(hello) as at:
            assert (await at.request(GET)).status == 200

    def descriptors_after_it():
        run(main())
        gc.collect()
        return psutil.Process().num_fds()

    before = descriptors_after_it()
    assert descriptors_after_it() <= before
