"""WSGI threads: number, stuck threads, lost clients and drain."""

import asyncio
import os
import threading
import time

import pytest

from corn.server.wsgi import caller
from corn.server.wsgi.adapter import WSGI
from corn.server.wsgi.threads import Threads
from tests.support.asgi_server import until
from tests.support.wsgi_client import GET, TEXT, Events, failing_at_once, request, waiting, wsgi


def test_disconnect_closes_response_and_frees_thread(run):
    """The generator is closed, so its thread returns to the pool."""
    events = Events()

    def app(environ, start_response):
        start_response("200 OK", TEXT)
        if environ["PATH_INFO"] == "/":
            return [b"hello"]

        def endless():
            try:
                while True:
                    yield b"x" * 65536
            finally:
                events.seen.append("closed")

        return endless()

    async def main():
        async with wsgi(app, wsgi_threads=2) as at:
            for number in range(4):
                peer = await at.connect(request(b"/endless"))
                await peer.reader.readexactly(1000)
                peer.close()
                await until(lambda number=number: len(events.seen) == number + 1)
            assert (await at.request(GET)).body == b"hello"

    run(main())


def test_slow_client_pauses_application(run):
    events = Events()

    def app(environ, start_response):
        start_response("200 OK", TEXT)
        for _ in range(1000):
            events.seen.append(1)
            yield b"x" * 65536

    async def main():
        async with wsgi(app) as at:
            peer = await at.connect(GET)
            await until(lambda: events.seen)
            seen = -1
            while seen != len(events.seen):
                seen = len(events.seen)
                await asyncio.sleep(0.1)
            assert seen < 500
            assert len((await peer.answer()).body) == 65536 * 1000

    run(main())


def test_requests_run_concurrently_up_to_thread_limit(run):
    events = Events()
    together = threading.Barrier(3)

    def app(environ, start_response):
        together.wait(20)
        events.seen.append(threading.current_thread().name)
        start_response("200 OK", TEXT)
        return [b"ok"]

    async def main():
        async with wsgi(app, wsgi_threads=3) as at:
            await asyncio.gather(*(at.request(GET) for _ in range(6)))

    run(main())
    assert set(events.seen) == {"wsgi-0", "wsgi-1", "wsgi-2"}


def test_threads_start_on_demand():
    threads = Threads(10)
    done = threading.Semaphore(0)
    names = set()

    def call():
        names.add(threading.current_thread().name)
        done.release()

    for _ in range(50):
        threads.run(call)
        assert done.acquire(timeout=20)
        end = time.monotonic() + 20
        while not threads._over:  # the call has ended, and its thread is not back yet
            assert time.monotonic() < end
            os.sched_yield()
    assert names == {"wsgi-0"}


def test_call_does_not_queue_below_thread_limit():
    for _ in range(200):
        threads = Threads(3)
        resume, done = threading.Event(), threading.Semaphore(0)
        assert threads.run(resume.wait)
        assert threads.run(done.release)
        assert done.acquire(timeout=20)
        assert threads.run(done.release)
        assert done.acquire(timeout=20)
        resume.set()


def test_call_reports_free_thread():
    threads = Threads(2)
    resume = threading.Event()
    assert [threads.run(resume.wait) for _ in range(3)] == [True, True, False]
    resume.set()


def test_request_timeout_gets_503_and_stuck_threads_ask_for_replacement(run, caplog):
    events, reasons = Events(), []

    async def main():
        async with wsgi(waiting(events), wsgi_threads=2, timeout_request=0.1, on_retire=reasons.append) as at:
            first = await at.request(GET)
            assert (first.status, reasons) == (503, [])
            second, third = await asyncio.gather(at.request(GET), at.request(GET))
            assert (second.status, third.status) == (503, 503)
            assert reasons
            assert set(reasons) == {"all 2 WSGI threads are blocked by cancelled requests"}
            events.may_continue.set()

    run(main())


def test_full_thread_pool_logs_stacks(run, caplog, capfd, monkeypatch):
    monkeypatch.setattr(caller, "WAIT_WARNING", 0.1)
    events = Events()

    def stuck(environ, start_response):
        events.wait()
        start_response("200 OK", TEXT)
        return [b"ok"]

    async def main():
        async with wsgi(stuck, wsgi_threads=1) as at:
            asking = [asyncio.ensure_future(at.request(GET)) for _ in range(2)]
            await until(lambda: "a request has waited 0.1 s for a WSGI thread (all 1 busy)" in caplog.text)
            events.may_continue.set()
            assert [(await each).body for each in asking] == [b"ok", b"ok"]

    run(main())
    assert "in stuck" in capfd.readouterr().err


def test_request_timed_out_in_queue_is_not_called(run):
    events = Events()

    def app(environ, start_response):
        events.seen.append(environ["PATH_INFO"])
        events.wait()
        start_response("200 OK", TEXT)
        return [b"ok"]

    async def main():
        async with wsgi(app, wsgi_threads=1, timeout_request=0.2) as at:
            await asyncio.gather(at.request(request(b"/first")), at.request(request(b"/second")))
            events.may_continue.set()
            assert (await at.request(request(b"/third"))).status == 200

    run(main())
    assert len(events.seen) == 2
    assert events.seen[1] == "/third"


def test_drain_waits_for_close_of_response(run):
    events = Events()

    class Parts(list):
        def close(self):
            events.wait()
            events.seen.append("closed")

    def app(environ, start_response):
        start_response("200 OK", TEXT)
        return Parts([b"hello"])

    async def main():
        async with wsgi(app) as at:
            assert (await at.request(GET)).body == b"hello"
            at.server.drain(grace=20, final=False)
            asyncio.get_running_loop().call_later(0.1, events.may_continue.set)
            await at.server.wait_closed()
            assert events.seen == ["closed"]

    run(main())


def test_drain_past_grace_abandons_stuck_thread(run, caplog):
    events = Events()

    def app(environ, start_response):
        events.seen.append("called")
        events.wait()

    async def main():
        async with wsgi(app) as at:
            peer = await at.connect(GET)
            await until(lambda: events.seen)
            at.server.drain(grace=0.1, final=False)
            assert (await peer.answer()).status == 503
            await at.server.wait_closed()
        events.may_continue.set()

    run(main())


def test_websocket_is_closed_and_lifespan_unsupported(run):
    sent = []

    async def send(message):
        sent.append(message)

    async def main():
        await WSGI(failing_at_once, 1, sent.append)({"type": "websocket"}, None, send)
        with pytest.raises(NotImplementedError, match="lifespan"):
            await WSGI(failing_at_once, 1, sent.append)({"type": "lifespan"}, None, send)

    run(main())
    assert sent == [{"type": "websocket.close"}]
