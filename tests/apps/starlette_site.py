"""The site that tests/frameworks drives, in Starlette."""

import asyncio
import contextlib
import hashlib

from page import PAGE
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Route, WebSocketRoute


@contextlib.asynccontextmanager
async def lifespan(app):
    yield {"started": "by its lifespan"}
    print("starlette: shut down", flush=True)


async def hello(request):
    response = PlainTextResponse("hello from starlette")
    response.set_cookie("one", "1")
    response.set_cookie("two", "2")
    return response


async def item(request):
    return JSONResponse({"item": request.path_params["number"], "q": request.query_params["q"]})


async def echo(request):
    return JSONResponse(await request.json())


async def upload(request):
    async with request.form() as form:
        file, digest = form["file"], hashlib.sha256()
        while part := await file.read(65536):
            digest.update(part)
        return JSONResponse({"name": file.filename, "size": file.size, "sha256": digest.hexdigest()})


async def stream(request):
    async def ticks():
        for number in range(3):
            yield f"tick {number}\n"
            await asyncio.sleep(0.01)

    return StreamingResponse(ticks(), media_type="text/plain")


async def events(request):
    async def generate():
        number = 0
        while True:
            yield f"data: event {number}\n\n"
            number += 1
            await asyncio.sleep(0.05)

    return StreamingResponse(generate(), media_type="text/event-stream")


async def file(request):
    return FileResponse(__file__)


async def started(request):
    return PlainTextResponse(request.state.started)


async def fail(request):
    raise ValueError("broken on purpose")


async def later(request):
    return PlainTextResponse("now", background=BackgroundTask(print, "starlette: later", flush=True))


async def page(request):
    return HTMLResponse(PAGE)


async def done(request):
    return PlainTextResponse("done")


async def socket(websocket):
    await websocket.accept()
    async for text in websocket.iter_text():
        await websocket.send_text(f"echo {text}")


app = Starlette(
    routes=[
        Route("/", hello),
        Route("/items/{number:int}", item),
        Route("/echo", echo, methods=["POST"]),
        Route("/upload", upload, methods=["POST"]),
        Route("/stream", stream),
        Route("/events", events),
        Route("/file", file),
        Route("/started", started),
        Route("/fail", fail),
        Route("/later", later),
        Route("/page", page),
        Route("/done", done),
        WebSocketRoute("/ws", socket),
    ],
    lifespan=lifespan,
)
