"""The site that tests/frameworks drives, in Flask."""

import hashlib

from flask import Flask, Response, jsonify, request, send_file, stream_with_context

app = Flask(__name__)


@app.get("/")
def hello():
    response = Response("hello from flask", mimetype="text/plain")
    response.set_cookie("one", "1")
    response.set_cookie("two", "2")
    return response


@app.get("/items/<int:number>")
def item(number):
    return jsonify(item=number, q=request.args["q"])


@app.post("/echo")
def echo():
    return jsonify(request.get_json())


@app.post("/upload")
def upload():
    file, digest, size = request.files["file"], hashlib.sha256(), 0
    while part := file.read(65536):
        digest.update(part)
        size += len(part)
    return jsonify(name=file.filename, size=size, sha256=digest.hexdigest())


@app.get("/stream")
def stream():
    def ticks():
        for number in range(int(request.args.get("count", 3))):
            yield f"tick {number}\n"

    return Response(stream_with_context(ticks()), mimetype="text/plain")


@app.get("/file")
def file():
    return send_file(__file__)


@app.get("/fail")
def fail():
    raise ValueError("broken on purpose")


@app.get("/later")
def later():
    response = Response("now")
    response.call_on_close(lambda: print("flask: later", flush=True))
    return response
