"""`corn dev` in a directory, an application for it, and saves as editors make them."""

import sys

from tests.support.corn_process import Served

APP = """
import asyncio, os
{before}
VERSION = {version!r}

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            {lifespan}
            await send({{"type": message["type"] + ".complete"}})
            if message["type"] == "lifespan.shutdown":
                return
    if scope["path"] == "/die":
        os._exit(3)
    if scope["path"] == "/slow":
        await asyncio.sleep(0.4)
    await send({{"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]}})
    while scope["path"] == "/stream":
        await send({{"type": "http.response.body", "body": VERSION.encode(), "more_body": True}})
        await asyncio.sleep(0.05)
    await send({{"type": "http.response.body", "body": VERSION.encode()}})
"""


def source(version, *, before="", lifespan="pass"):
    return APP.format(version=version, before=before, lifespan=lifespan)


def save(path, text):
    """Save as most editors do: write another file and rename it."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(text)
    fresh.rename(path)


class Developed(Served):
    """`corn dev` in a directory."""

    def __init__(self, directory, *arguments, program=None, **environment):
        program = program or [sys.executable, "-m", "corn", "dev"]
        super().__init__(directory, "main:app", "--port", "0", *arguments, program=program, **environment)

    def wait_for_answer(self, expected, path="/"):
        """Send requests on new connections until the response is `expected`."""
        self.wait_until(lambda: self.client().request(path) == (200, expected.encode()), f"answer {expected!r}")

    def wait_for_failure(self, *expected):
        def shown():
            status, body = self.client().request()
            return status == 500 and all(each in body.decode() for each in expected)

        self.wait_until(shown, f"a failure that shows {expected}")

    def reloads(self):
        return [line for line in self.output.splitlines() if " reloaded in " in line]
