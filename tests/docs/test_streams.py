"""Streams of docs/how-to/streams-and-websockets.md: each ends by itself when its worker drains."""

from __future__ import annotations

import signal

import pytest

from tests.support.corn_process import Served
from tests.support.doc_session import ROOT, blocks_of
from tests.support.stream_client import Stream

PAGE = ROOT / "docs" / "how-to" / "streams-and-websockets.md"
FILES = {block.file_name: block.text for block in blocks_of(PAGE) if block.file_name}
STREAMS = sorted(name.removesuffix(".py") for name in FILES if name.endswith("_stream.py"))


@pytest.mark.parametrize("name", STREAMS)
def test_stream_of_page_ends_at_reload_and_stop(tmp_path, name):
    for each, text in FILES.items():
        (tmp_path / each).write_text(text)
    # Only the application can end the stream before the test gives up.
    arguments = ("--port", "0", "--timeout-graceful-shutdown", "600", "--soak", "0")
    with Served(tmp_path, f"{name}:app", *arguments).wait_ready() as served:
        for number in (signal.SIGHUP, signal.SIGTERM):
            stream = Stream(served.address, "/events")
            served.signal(number)
            text = stream.wait()
            assert name == "sse_stream" or text.endswith("\r\n0\r\n\r\n")  # sse-starlette breaks its streams off
            if number == signal.SIGHUP:
                served.wait_for("reloaded: generation 2 serves")
        assert served.wait_exit() == 0
        assert "cancelled" not in served.output


def test_page_shows_stream_of_each_framework():
    assert [f"{each}_stream" for each in ("django", "flask", "litestar", "quart", "sse", "starlette")] == STREAMS
