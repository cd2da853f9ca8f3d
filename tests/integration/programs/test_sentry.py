"""Sentry, set up at import as its documentation says: no event is lost when a worker ends, and none arrives twice."""

from __future__ import annotations

import collections
import gzip
import http.server
import json
import signal
import threading
import time

import brotli
import pytest

from tests.support.corn_process import Served

APPLICATION = """
import os
import sentry_sdk

sentry_sdk.init(os.environ["RECEIVER"])

async def app(scope, receive, send):
    sentry_sdk.capture_message(scope["path"])
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body"})
"""
SLOWLY = 0.1  # seconds for each event, so that some are left when a worker ends


class Receiver(http.server.ThreadingHTTPServer):
    """Sentry's side: counts the messages of events."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.messages = collections.Counter()
        self.address = f"http://key@127.0.0.1:{self.server_port}/1"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        unpack = {"gzip": gzip.decompress, "br": brotli.decompress}.get(self.headers.get("content-encoding"), bytes)
        time.sleep(SLOWLY)
        for line in unpack(body).splitlines():
            event = json.loads(line)
            if isinstance(event, dict) and event.get("level") == "info" and "event_id" in event:
                message = event.get("message") or event.get("logentry", {}).get("message")
                self.server.messages[message] += 1
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *arguments):
        pass


@pytest.fixture
def receiver():
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("mode", ["app", "deps", "none"])
def test_sentry_events_of_ended_workers_arrive_once(tmp_path, receiver, mode):
    (tmp_path / "main.py").write_text(APPLICATION)
    arguments = ("main:app", "--port", "0", "--workers", "2", "--preload", mode, "--lifespan", "off")
    with Served(tmp_path, *arguments, RECEIVER=receiver.address).wait_ready() as served:
        assert f"preload {mode})" in served.output
        sent = []
        for round_ in range(3):
            for number in range(6):
                sent.append(f"/{round_}/{number}")
                served.client().get(sent[-1])
            if round_ < 2:
                victim = served.workers()[0]
                victim.terminate()
                served.wait_until(lambda gone=victim: not gone.is_running(), "the worker ends")
                served.wait_until(lambda: len(served.workers()) == 2, "another worker")
        served.signal(signal.SIGTERM)
        assert served.wait_exit() == 0
    assert receiver.messages == dict.fromkeys(sent, 1)
