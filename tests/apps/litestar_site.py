"""The site that tests/frameworks drives, in Litestar."""

import asyncio
import contextlib
import hashlib
from typing import Annotated, Any

from litestar import Litestar, MediaType, Request, Response, get, post, websocket_listener
from litestar.background_tasks import BackgroundTask
from litestar.datastructures import State, UploadFile
from litestar.enums import RequestEncodingType
from litestar.params import Body
from litestar.response import File, Stream
from page import PAGE


@contextlib.asynccontextmanager
async def lifespan(app: Litestar):
    app.state.started = "by its lifespan"
    yield
    print("litestar: shut down", flush=True)


@get("/", media_type=MediaType.TEXT, sync_to_thread=True)
def hello() -> Response[str]:
    response = Response("hello from litestar")
    response.set_cookie("one", "1")
    response.set_cookie("two", "2")
    return response


@get("/items/{number:int}")
async def item(number: int, q: str) -> dict[str, Any]:
    return {"item": number, "q": q}


@post("/echo", status_code=200)
async def echo(data: dict[str, Any]) -> dict[str, Any]:
    return data


@post("/upload", status_code=200, request_max_body_size=None)
async def upload(data: Annotated[dict[str, UploadFile], Body(media_type=RequestEncodingType.MULTI_PART)]) -> dict:
    file, digest, size = data["file"], hashlib.sha256(), 0
    while part := await file.read(65536):
        digest.update(part)
        size += len(part)
    return {"name": file.filename, "size": size, "sha256": digest.hexdigest()}


@get("/stream")
async def stream() -> Stream:
    async def ticks():
        for number in range(3):
            yield f"tick {number}\n"
            await asyncio.sleep(0.01)

    return Stream(ticks(), media_type="text/plain")


@get("/events")
async def events() -> Stream:
    async def generate():
        number = 0
        while True:
            yield f"data: event {number}\n\n"
            number += 1
            await asyncio.sleep(0.05)

    return Stream(generate(), media_type="text/event-stream")


@get("/file")
async def file() -> File:
    return File(__file__)


@get("/started", media_type=MediaType.TEXT)
async def started(state: State) -> str:
    return state.started


@get("/fail")
async def fail(request: Request) -> None:
    raise ValueError("broken on purpose")


async def say_later() -> None:
    print("litestar: later", flush=True)


@get("/later", media_type=MediaType.TEXT)
async def later() -> Response[str]:
    return Response("now", background=BackgroundTask(say_later))


@get("/page", media_type=MediaType.HTML)
async def page() -> str:
    return PAGE


@get("/done", media_type=MediaType.TEXT)
async def done() -> str:
    return "done"


@websocket_listener("/ws")
async def socket(data: str) -> str:
    return f"echo {data}"


HANDLERS = [hello, item, echo, upload, stream, events, file, started, fail, later, page, done, socket]
app = Litestar(HANDLERS, lifespan=[lifespan], openapi_config=None)
