"""OpenTelemetry: a span for each request, exported in batches.

    pip install opentelemetry-sdk opentelemetry-instrumentation-asgi
    corn serve tracing_app:app --app-dir examples --preload app

A span is printed for each request; put an exporter of yours in the place of ConsoleSpanExporter.
"""

import os

from hello import app as hello
from opentelemetry import trace
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter

import corn


@corn.after_fork
def start_tracing():
    """The processor sends spans from a thread of its own, which a fork would not carry over."""
    provider = TracerProvider(resource=Resource.create({"service.name": "hello", "process.pid": os.getpid()}))
    exporter = ConsoleSpanExporter(formatter=lambda span: span.to_json(indent=None) + "\n")
    provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)


app = OpenTelemetryMiddleware(hello, exclude_spans=["receive", "send"])
