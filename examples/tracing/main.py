"""OpenTelemetry: a span for each request, exported in batches from each worker.

The exporter here prints spans; replace ConsoleSpanExporter by your own.
"""

import os

from opentelemetry import trace
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter

import corn


@corn.after_fork
def start_tracing():
    """Start the processor's thread in the worker: a fork would not carry a thread over."""
    provider = TracerProvider(resource=Resource.create({"service.name": "hello", "process.pid": os.getpid()}))
    exporter = ConsoleSpanExporter(formatter=lambda span: span.to_json(indent=None) + "\n")
    provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)


async def greet(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    body = f"Hello from worker {os.getpid()}\n".encode()
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


app = OpenTelemetryMiddleware(greet, exclude_spans=["receive", "send"])
