"""Sentry: each exception that a request raises is reported.

The SDK reads SENTRY_DSN. It may be initialised at import: it starts its thread with the first report, in the worker.
"""

import os

import sentry_sdk
from sentry_sdk.integrations.asgi import SentryAsgiMiddleware

sentry_sdk.init()


async def greet_or_fail(scope, receive, send):
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
        return
    if scope["path"] == "/fail":
        raise ValueError("this request fails")
    body = f"Hello from worker {os.getpid()}\n".encode()
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _lifespan(receive, send):
    for _ in range(2):
        message = await receive()
        await send({"type": f"{message['type']}.complete"})


app = SentryAsgiMiddleware(greet_or_fail)
