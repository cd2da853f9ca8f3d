"""Log of an embedded server: where its lines go, and that nothing of it is left open."""

import os
import socket

import pytest

import corn
from tests.support.descriptors import descriptors
from tests.support.http_client import Client


async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="the system does not list descriptors")
@pytest.mark.parametrize("kind", ["file", "syslog"])
def test_log_of_embedded_server_is_closed_with_it(tmp_path, kind):
    path = tmp_path / "log"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.settimeout(20)
        if kind == "syslog":
            receiver.bind(str(path))
        before = descriptors()
        with corn.Server(app, port=0, log_file=f"syslog://{path}" if kind == "syslog" else path) as server:
            assert Client(server.addresses[0]).get() == "ok"
        left_open = descriptors() - before
        assert not [each for each in left_open if each == str(path) or each.startswith("socket:")]
        lines = [receiver.recv(9000).decode() for _ in range(2)] if kind == "syslog" else path.read_text().splitlines()
        assert "serves an application at http://127.0.0.1:" in lines[0]
        assert '"GET / HTTP/1.1" 200' in lines[1]
