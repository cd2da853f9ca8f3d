"""The site that tests/frameworks drives, in Quart."""

import asyncio
import hashlib

from page import PAGE
from quart import Quart, Response, current_app, jsonify, request, send_file, websocket

app = Quart(__name__)
app.config["MAX_CONTENT_LENGTH"] = 64 << 20


@app.while_serving
async def lifespan():
    app.config["started"] = "by its lifespan"
    yield
    print("quart: shut down", flush=True)


@app.get("/")
async def hello():
    response = Response("hello from quart", mimetype="text/plain")
    response.set_cookie("one", "1")
    response.set_cookie("two", "2")
    return response


@app.get("/items/<int:number>")
async def item(number):
    return jsonify(item=number, q=request.args["q"])


@app.post("/echo")
async def echo():
    return jsonify(await request.get_json())


@app.post("/upload")
async def upload():
    file, digest, size = (await request.files)["file"], hashlib.sha256(), 0
    while part := file.read(65536):
        digest.update(part)
        size += len(part)
    return jsonify(name=file.filename, size=size, sha256=digest.hexdigest())


@app.get("/stream")
async def stream():
    async def ticks():
        for number in range(3):
            yield f"tick {number}\n"
            await asyncio.sleep(0.01)

    return ticks(), 200, {"content-type": "text/plain"}


@app.get("/events")
async def events():
    async def generate():
        number = 0
        while True:
            yield f"data: event {number}\n\n"
            number += 1
            await asyncio.sleep(0.05)

    return generate(), 200, {"content-type": "text/event-stream"}


@app.get("/file")
async def file():
    return await send_file(__file__)


@app.get("/started")
async def started():
    return current_app.config["started"]


@app.get("/fail")
async def fail():
    raise ValueError("broken on purpose")


@app.get("/later")
async def later():
    app.add_background_task(print, "quart: later", flush=True)
    return "now"


@app.get("/page")
async def page():
    return PAGE


@app.get("/done")
async def done():
    return "done"


@app.websocket("/ws")
async def socket():
    while True:
        await websocket.send(f"echo {await websocket.receive()}")
