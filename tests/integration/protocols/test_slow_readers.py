"""Slow client with a large response, while its worker stops or is replaced."""

from __future__ import annotations

import signal
import socket
import time

import pytest

from tests.support.corn_process import DEADLINE, Served

SIZE = 12_000_000
RATE = 2_000_000
APP = f"""
async def app(scope, receive, send):
    await send({{"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"{SIZE}")]}})
    await send({{"type": "http.response.body", "body": bytes({SIZE})}})
"""


def connect(address):
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    sock.settimeout(DEADLINE)
    host, _, port = address.removeprefix("http://").rpartition(":")
    sock.connect((host, int(port)))
    sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    return sock


def read_steadily(sock, meanwhile):
    """Number of bytes read; calls `meanwhile` once part of the response has arrived."""
    got, began = 0, time.monotonic()
    while data := sock.recv(65536):
        if got < 1_000_000 <= got + len(data):
            meanwhile()
        got += len(data)
        time.sleep(max(0.0, began + got / RATE - time.monotonic()))
        if got > SIZE:
            break
    return got


@pytest.mark.parametrize("number", [None, signal.SIGTERM, signal.SIGHUP], ids=["idle", "stop", "reload"])
def test_slow_reader_gets_whole_response(tmp_path, number):
    (tmp_path / "main.py").write_text(APP)
    arguments = ("main:app", "--port", "0", "--soak", "0", "--timeout-keep-alive", "4", "--timeout-send", "4")
    with Served(tmp_path, *arguments, "--lifespan", "off").wait_ready() as served, connect(served.address) as sock:
        assert read_steadily(sock, lambda: number and served.signal(number)) > SIZE
        if number == signal.SIGTERM:
            assert served.wait_exit() == 0
        elif number == signal.SIGHUP:
            served.wait_for("generation 2 serves|reloaded")
