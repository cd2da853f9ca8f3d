"""A bare ASGI application: no framework, no lifespan.

    corn serve hello:app --app-dir examples --workers 4

Each answer names the worker that gave it. Change GREETING, send HUP to corn, and ask again.
"""

import os

GREETING = "Hello from corn"


async def app(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    body = f"{GREETING}, worker {os.getpid()}\n".encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
