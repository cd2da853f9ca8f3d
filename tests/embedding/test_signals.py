"""SIGINT and SIGTERM of embedded servers: optional, restored afterwards, and handled by each server."""

from __future__ import annotations

import asyncio
import os
import signal
import time

import pytest
import uvloop

import corn

DEADLINE = 20
OPTIONS = {"port": 0, "lifespan": "off", "access_log": False}
SIGNALS = (signal.SIGINT, signal.SIGTERM)


async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body"})


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request):
    """asyncio.run, or the same with uvloop; fails unless the handlers are those of before at the end."""
    before = [signal.getsignal(number) for number in SIGNALS]
    loop = uvloop.new_event_loop() if request.param == "uvloop" else asyncio.new_event_loop()
    yield loop.run_until_complete
    loop.close()
    assert [signal.getsignal(number) for number in SIGNALS] == before


async def start(**more):
    ready = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(corn.serve(app, ready=ready.set_result, **OPTIONS, **more))
    await asyncio.wait([task, ready], return_when=asyncio.FIRST_COMPLETED, timeout=DEADLINE)
    return task


@pytest.mark.parametrize("number", SIGNALS)
def test_signal_stops_two_servers_in_one_loop(run, number):
    async def main():
        tasks = [await start(), await start()]
        os.kill(os.getpid(), number)
        await asyncio.wait_for(asyncio.gather(*tasks), DEADLINE)

    run(main())


def test_signal_handler_survives_stop_of_first_server(run):
    async def main():
        first, second = await start(), await start()
        first.cancel()
        await asyncio.wait([first], timeout=DEADLINE)
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(second, DEADLINE)

    run(main())


def test_signals_option_disables_handlers(run):
    received = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: received.append(number))

    async def main():
        task = await start(signals=False)
        os.kill(os.getpid(), signal.SIGTERM)
        while not received:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        assert not task.done()
        task.cancel()
        await asyncio.wait([task], timeout=DEADLINE)

    try:
        run(main())
    finally:
        signal.signal(signal.SIGTERM, before)


def test_server_object_installs_no_handlers(run):
    async def main():
        before = [signal.getsignal(number) for number in SIGNALS]
        async with corn.Server(app, **OPTIONS):
            assert [signal.getsignal(number) for number in SIGNALS] == before

    run(main())


def test_handler_of_program_is_restored(run):
    received = []

    async def main():
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, received.append, "loop")
        task = await start()
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(task, DEADLINE)
        received.clear()
        os.kill(os.getpid(), signal.SIGTERM)
        deadline = time.monotonic() + DEADLINE
        while not received and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        assert received == ["loop"]
        loop.remove_signal_handler(signal.SIGTERM)

    run(main())


def test_second_signal_cancels_in_flight_requests():
    async def main():
        started = asyncio.Event()

        async def endless(scope, receive, send):
            started.set()
            await asyncio.Event().wait()

        server = corn.Server(endless, signals=True, **OPTIONS)
        await server.start()
        host, port = server.addresses[0].rpartition("/")[2].split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await asyncio.wait_for(started.wait(), DEADLINE)
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(0.3)  # a first signal must not cancel the request
        assert server.ready
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(server.wait_closed(), DEADLINE)
        writer.close()

    asyncio.run(main())
