"""OpenTelemetry and Sentry in forked workers: nothing is lost, and the template has no thread."""

from __future__ import annotations

import gzip
import json
import re
import signal
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import brotli
import pytest

from tests.support.corn_process import Served

EXAMPLES = Path(__file__).parents[3] / "examples"

AT_IMPORT = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter
trace.set_tracer_provider(TracerProvider())
trace.get_tracer_provider().add_span_processor(BatchSpanProcessor(ConsoleSpanExporter()))
from hello import app
"""


def spans(served: Served) -> list[dict]:
    return [json.loads(line) for line in served.output.splitlines() if line.startswith("{")]


def test_tracing_exports_all_spans_across_reload_and_stop(tmp_path):
    options = ("--config", str(EXAMPLES / "tracing" / "corn.toml"), "--app-dir", str(EXAMPLES / "tracing"))
    options += ("--port", "0", "--soak", "0")
    with Served(tmp_path, *options, OTEL_BSP_SCHEDULE_DELAY="60000").wait_ready() as served:
        assert "not safe to fork" not in served.output
        answered = [served.client().get("/") for _ in range(10)]
        served.signal(signal.SIGHUP)
        served.wait_for("reloaded: generation 2 serves")
        answered += [served.client().get("/") for _ in range(10)]
        served.signal(signal.SIGTERM)
        assert served.wait_exit() == 0
        assert [each["name"] for each in spans(served)] == ["GET /"] * 20
        said = {int(re.search(r"worker (\d+)", each)[1]) for each in answered}
        assert {each["resource"]["attributes"]["process.pid"] for each in spans(served)} == said


def test_tracing_thread_at_import_steps_down_preload(tmp_path):
    (tmp_path / "early.py").write_text(f"import sys\nsys.path.append({str(EXAMPLES)!r})\n{AT_IMPORT}")
    with Served(tmp_path, "early:app", "--port", "0").wait_ready() as served:
        served.wait_for("not safe to fork with --preload app: .* started a thread .*; using deps")
        assert served.client().get("/").startswith("Hello")


@pytest.fixture
def collector():
    """Server that receives Sentry's envelopes; `.events` are the exceptions in them."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            # Sentry compresses by brotli where that is installed, as it is for other tests.
            unpack = {"gzip": gzip.decompress, "br": brotli.decompress}.get(self.headers.get("content-encoding"), bytes)
            body = unpack(body)
            server.events += [json.loads(line) for line in body.splitlines() if b'"exception"' in line]
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.events = []
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def test_sentry_reports_exceptions_of_workers(tmp_path, collector):
    dsn = f"http://key@127.0.0.1:{collector.server_port}/1"
    example = EXAMPLES / "error-reports"
    options = ("--config", str(example / "corn.toml"), "--app-dir", str(example), "--port", "0")
    with Served(tmp_path, *options, SENTRY_DSN=dsn).wait_ready() as served:
        assert "not safe to fork" not in served.output
        for _ in range(6):
            assert served.client().request("/fail")[0] == 500
        served.signal(signal.SIGTERM)
        assert served.wait_exit() == 0
        served.wait_until(lambda: len(collector.events) >= 6, "six reports")
        assert {each["exception"]["values"][0]["value"] for each in collector.events} == {"this request fails"}
