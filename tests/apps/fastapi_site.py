"""The site that tests/frameworks drives, in FastAPI."""

import asyncio
import contextlib
import hashlib
from typing import Annotated, Any

from fastapi import BackgroundTasks, Body, FastAPI, Request, Response, UploadFile, WebSocket, WebSocketDisconnect
from fastapi.responses import FileResponse, HTMLResponse, PlainTextResponse, StreamingResponse
from page import PAGE


@contextlib.asynccontextmanager
async def lifespan(app: FastAPI):
    app.state.started = "by its lifespan"
    yield
    print("fastapi: shut down", flush=True)


app = FastAPI(lifespan=lifespan)


@app.get("/", response_class=PlainTextResponse)
def hello(response: Response) -> str:
    """Not asynchronous, so that it runs in a thread."""
    response.set_cookie("one", "1")
    response.set_cookie("two", "2")
    return "hello from fastapi"


@app.get("/items/{number}")
async def item(number: int, q: str) -> dict[str, Any]:
    return {"item": number, "q": q}


@app.post("/echo")
async def echo(value: Annotated[Any, Body()]) -> Any:
    return value


@app.post("/upload")
def upload(file: UploadFile) -> dict[str, Any]:
    digest = hashlib.sha256()
    while part := file.file.read(65536):
        digest.update(part)
    return {"name": file.filename, "size": file.size, "sha256": digest.hexdigest()}


@app.get("/stream")
async def stream() -> StreamingResponse:
    async def ticks():
        for number in range(3):
            yield f"tick {number}\n"
            await asyncio.sleep(0.01)

    return StreamingResponse(ticks(), media_type="text/plain")


@app.get("/events")
async def events() -> StreamingResponse:
    async def generate():
        number = 0
        while True:
            yield f"data: event {number}\n\n"
            number += 1
            await asyncio.sleep(0.05)

    return StreamingResponse(generate(), media_type="text/event-stream")


@app.get("/file")
async def file() -> FileResponse:
    return FileResponse(__file__)


@app.get("/started", response_class=PlainTextResponse)
async def started(request: Request) -> str:
    return request.app.state.started


@app.get("/fail")
async def fail() -> None:
    raise ValueError("broken on purpose")


@app.get("/later", response_class=PlainTextResponse)
async def later(tasks: BackgroundTasks) -> str:
    tasks.add_task(print, "fastapi: later", flush=True)
    return "now"


@app.get("/page", response_class=HTMLResponse)
async def page() -> str:
    return PAGE


@app.get("/done", response_class=PlainTextResponse)
async def done() -> str:
    return "done"


@app.websocket("/ws")
async def socket(websocket: WebSocket) -> None:
    await websocket.accept()
    with contextlib.suppress(WebSocketDisconnect):
        while True:
            await websocket.send_text(f"echo {await websocket.receive_text()}")
