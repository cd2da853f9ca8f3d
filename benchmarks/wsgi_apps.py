"""WSGI applications of the benchmark."""

from flask import Flask, request

from benchmarks.apps import HELLO

HEADERS = [("Content-Type", "text/plain"), ("Content-Length", str(len(HELLO)))]


def plain(_environ, start_response):
    start_response("200 OK", HEADERS)
    return [HELLO]


flask = Flask(__name__)


@flask.get("/items/<int:item_id>")
def item(item_id):
    return {"item_id": item_id, "q": request.args["q"]}
