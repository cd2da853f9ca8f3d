"""Idle streams of each framework end when their reader disconnects."""

import asyncio
import contextlib
import time

import pytest

from tests.support.asgi_server import serving, until

ended = []


async def events():
    """Server-sent events that stop after the first."""
    try:
        yield b"data: first\n\n"
        await asyncio.sleep(3600)
    finally:
        ended.append(True)


def starlette_site():
    from starlette.applications import Starlette
    from starlette.responses import StreamingResponse
    from starlette.routing import Route

    async def stream(request):
        return StreamingResponse(events(), media_type="text/event-stream")

    return Starlette(routes=[Route("/", stream)])


def fastapi_site():
    from fastapi import FastAPI
    from fastapi.responses import StreamingResponse

    app = FastAPI()

    @app.get("/")
    async def stream():
        return StreamingResponse(events(), media_type="text/event-stream")

    return app


def quart_site():
    from quart import Quart

    app = Quart("quart_site")

    @app.get("/")
    async def stream():
        return events(), 200, {"Content-Type": "text/event-stream"}

    return app


def litestar_site():
    from litestar import Litestar, get
    from litestar.response import Stream

    @get("/")
    async def stream() -> Stream:
        return Stream(events(), media_type="text/event-stream")

    return Litestar([stream], logging_config=None)


SITES = [starlette_site, fastapi_site, quart_site, litestar_site]


@pytest.mark.parametrize("reset", [False, True], ids=["close", "reset"])
@pytest.mark.parametrize("site", SITES)
def test_stream_ends_when_reader_disconnects(run, site, reset):
    ended.clear()

    async def main():
        async with serving(site()) as at:
            peer = await at.connect(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            await peer.reader.readuntil(b"data: first\n\n")
            peer.writer.transport.abort() if reset else peer.close()
            await until(lambda: ended)
            await until(lambda: not at.server._service.running)

    run(main())


@pytest.mark.parametrize("site", SITES)
def test_drain_does_not_wait_for_disconnected_reader(run, site):
    async def main():
        async with serving(site()) as at:
            peer = await at.connect(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            await peer.reader.readuntil(b"data: first\n\n")
            peer.close()
            with contextlib.suppress(ConnectionError):
                await peer.writer.wait_closed()
            began = time.monotonic()
            at.server.drain(grace=40, final=True)
            await at.server.wait_closed()
            assert time.monotonic() - began < 20

    run(main())


@pytest.mark.parametrize("middleware", ["gzip", "brotli"])
def test_compressing_middleware_compresses_file_response(run, tmp_path, middleware):
    from brotli_asgi import BrotliMiddleware
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.gzip import GZipMiddleware
    from starlette.responses import FileResponse
    from starlette.routing import Route

    file = tmp_path / "page.html"
    file.write_text("<p>corn</p>" * 1000)

    async def page(request):
        return FileResponse(file)

    compressing = BrotliMiddleware if middleware == "brotli" else GZipMiddleware

    async def main():
        async with serving(Starlette(routes=[Route("/", page)], middleware=[Middleware(compressing)])) as at:
            answer = await at.request(b"GET / HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip, br\r\n\r\n")
            assert answer.status == 200
            assert answer.headers["content-encoding"] == {"gzip": "gzip", "brotli": "br"}[middleware]
            assert len(answer.body) < 1000
            await until(lambda: not at.server._service.running)  # its file is closed after the response

    run(main())
