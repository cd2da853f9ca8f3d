"""Drain notice to the application: it ends its streams itself; other streams are cut after --timeout-streams."""

from __future__ import annotations

import signal
import time

import pytest

from tests.support.corn_process import Served
from tests.support.stream_client import Stream

STREAMS = """
import asyncio, threading, time
import corn

SEEN = []

@corn.on_drain
def noted():
    SEEN.append(corn.draining())

@corn.on_drain
def fails():
    raise RuntimeError("of no consequence")

async def polled(send):
    while not corn.draining():
        await send({"type": "http.response.body", "body": b"data: 1\\n\\n", "more_body": True})
        await asyncio.sleep(0.05)

async def waited(send):
    await send({"type": "http.response.body", "body": b"data: 1\\n\\n", "more_body": True})
    await corn.wait_for_drain()
    await corn.wait_for_drain()

async def endless(send):
    while True:
        await send({"type": "http.response.body", "body": b"data: 1\\n\\n", "more_body": True})
        await asyncio.sleep(0.05)

async def app(scope, receive, send):
    if scope["type"] != "http":
        raise RuntimeError("only HTTP")
    assert not SEEN
    name = scope["path"].strip("/")
    headers = [(b"content-length", b"2")] if name == "slow" else []
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    if name == "slow":
        await send({"type": "http.response.body", "body": b"o", "more_body": True})
        await corn.wait_for_drain()
        await asyncio.sleep(3)
        await send({"type": "http.response.body", "body": b"k"})
        return
    await globals()[name](send)
    end = b"drained %r" % SEEN
    await send({"type": "http.response.body", "body": end})
"""
SCOPE = """
SEEN = {}

async def app(scope, receive, send):
    extension = scope["extensions"]["corn.drain"]
    SEEN[scope["type"]] = event = extension["event"]
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                print("at the end", event.is_set(), flush=True)
                return
    assert SEEN["lifespan"] is event and not event.is_set()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"data: 1\\n\\n", "more_body": True})
    await event.wait()
    await send({"type": "http.response.body", "body": b"the end"})
"""


def stop(served, *streams):
    """Stop the service; returns the texts of the streams and the duration."""
    began = time.monotonic()
    served.signal(signal.SIGTERM)
    assert served.wait_exit() == 0
    return [each.wait() for each in streams], time.monotonic() - began


def test_drain_notice_ends_application_streams(tmp_path):
    (tmp_path / "main.py").write_text(STREAMS)
    with Served(tmp_path, "main:app", "--port", "0").wait_ready() as served:
        texts, took = stop(served, Stream(served.address, "/polled"), Stream(served.address, "/waited"))
        assert took < 20
        assert all(text.endswith("drained [True]\r\n0\r\n\r\n") for text in texts)
        served.wait_for("a function of corn.on_drain failed")


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_drain_event_in_scope_is_set_when_drain_begins(tmp_path, loop):
    (tmp_path / "main.py").write_text(SCOPE)
    arguments = ("--port", "0", "--loop", loop, "--timeout-graceful-shutdown", "600")
    with Served(tmp_path, "main:app", *arguments).wait_ready() as served:
        (text,), _ = stop(served, Stream(served.address, "/events"))
        assert text.endswith("the end\r\n0\r\n\r\n")
        served.wait_for("at the end True")


def test_stream_timeout_cuts_streams_and_spares_requests(tmp_path):
    (tmp_path / "main.py").write_text(STREAMS)
    with Served(tmp_path, "main:app", "--port", "0", "--timeout-streams", "1").wait_ready() as served:
        (endless, slow), took = stop(served, Stream(served.address, "/endless"), Stream(served.address, "/slow"))
        assert 2.5 < took < 20
        assert slow.endswith("\r\n\r\nok")
        assert not endless.endswith("0\r\n\r\n")
        served.wait_for("GET /endless.* was cancelled")


def test_drain_notice_at_reload_ends_streams_of_old_worker(tmp_path):
    (tmp_path / "main.py").write_text(STREAMS)
    with Served(tmp_path, "main:app", "--port", "0", "--soak", "0").wait_ready() as served:
        stream = Stream(served.address, "/polled")
        served.signal(signal.SIGHUP)
        served.wait_for("reloaded: generation 2 serves")
        assert stream.wait().endswith("0\r\n\r\n")
        again = Stream(served.address, "/polled")
        assert not again.text.endswith("0\r\n\r\n")


def test_drain_callback_that_is_coroutine_is_refused():
    import corn

    async def late():
        pass

    with pytest.raises(TypeError, match=r"await corn\.wait_for_drain"):
        corn.on_drain(late)
