"""A Flask application: an upload, a table that is streamed, a file that is sent.

Flask is WSGI: each request is answered in a thread, of which a worker has up to `--wsgi-threads` (10).
"""

import os
from collections.abc import Iterator
from pathlib import Path

from flask import Flask, Response, jsonify, request, send_file, stream_with_context

app = Flask(__name__)


@app.get("/")
def status() -> Response:
    return jsonify(worker=os.getpid(), client=request.remote_addr, scheme=request.scheme)


@app.post("/count")
def count_lines() -> Response:
    """Count the lines of an uploaded file; it is never in memory as a whole."""
    file = request.files["file"]
    return jsonify(name=file.filename, lines=sum(1 for _ in file.stream))


@app.get("/squares/<int:count>.csv")
def squares(count: int) -> Response:
    def rows() -> Iterator[str]:
        for number in range(count):
            yield f"{number},{number * number}\n"

    return Response(stream_with_context(rows()), mimetype="text/csv")


@app.get("/source")
def source() -> Response:
    """Send a file: Flask passes it as wsgi.file_wrapper, and corn sends it with sendfile(2)."""
    return send_file(Path(__file__).resolve(), mimetype="text/x-python")
