import json
import socket

import pytest

from corn.reload.live_reload_server import LiveReloadServer, ReloadState, Request, status_of

TOKEN = "sesame"


@pytest.fixture
def live_server():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        live_server = LiveReloadServer(listener, TOKEN)
        live_server.start()
        yield live_server, listener.getsockname()[1]


def connect(port, target, *fields):
    peer = socket.create_connection(("127.0.0.1", port), timeout=20)
    lines = [f"GET {target} HTTP/1.1", f"Host: 127.0.0.1:{port}", *fields, "", ""]
    peer.sendall("\r\n".join(lines).encode())
    return peer, peer.makefile("rb")


def head_of(stream):
    lines = []
    while (line := stream.readline()) != b"\r\n":
        assert line, "the connection ended within the head"
        lines.append(line.decode().strip())
    return lines


def next_state(stream):
    while not (line := stream.readline()).startswith(b"data: "):
        assert line, "the connection ended"
    return json.loads(line[6:])


def test_state_is_sent_on_connect_and_on_change(live_server):
    live_server, port = live_server
    live_server.announce(ReloadState(revision=4))
    peer, stream = connect(port, f"/{TOKEN}", "Origin: http://localhost:8000")
    with peer, stream:
        head = head_of(stream)
        assert head[0].startswith("HTTP/1.1 200")
        assert "content-type: text/event-stream" in head
        assert "access-control-allow-origin: http://localhost:8000" in head
        while next_state(stream)["revision"] != 4:
            pass
        state = ReloadState(revision=5, failed=True, styles=1, paths=("a.css",), saved=1.5)
        live_server.announce(state)
        assert next_state(stream) == {
            "revision": 5,
            "failed": True,
            "styles": 1,
            "pages": 0,
            "paths": ["a.css"],
            "saved": 1.5,
        }


def test_state_is_returned_by_single_request(live_server):
    _, port = live_server
    peer, stream = connect(port, f"/{TOKEN}/state")
    with peer, stream:
        assert head_of(stream)[0].startswith("HTTP/1.1 200")
        assert json.loads(stream.read())["failed"] is False


def test_disconnected_listeners_do_not_affect_others(live_server):
    live_server, port = live_server
    for _ in range(20):
        peer, stream = connect(port, f"/{TOKEN}")
        head_of(stream)
        peer.close()
        stream.close()
    peer, stream = connect(port, f"/{TOKEN}")
    with peer, stream:
        live_server.announce(ReloadState(revision=2))
        while next_state(stream)["revision"] != 2:
            pass


@pytest.mark.parametrize(
    ("target", "fields", "status"),
    [
        (f"/{TOKEN}", {}, 200),
        (f"/{TOKEN}", {"origin": "http://localhost:8000"}, 200),
        (f"/{TOKEN}", {"origin": "https://app.localhost"}, 200),
        (f"/{TOKEN}", {"origin": "http://[::1]:3000"}, 200),
        (f"/{TOKEN}", {"origin": "https://evil.example"}, 403),
        (f"/{TOKEN}", {"origin": "http://localhost.evil.example"}, 403),
        (f"/{TOKEN}", {"origin": "null"}, 403),
        (f"/{TOKEN}", {"host": "evil.example:9"}, 421),
        ("/", {}, 404),
        ("/guess", {}, 404),
        ("/guess/state", {}, 404),
        ("/ü", {}, 404),
    ],
)
def test_origin_host_and_token_are_checked(target, fields, status):
    asked = Request("GET", target, {"host": "127.0.0.1:9", **fields})
    assert status_of(asked, TOKEN, 9) == status


def test_malformed_request_is_refused(live_server):
    _, port = live_server
    with socket.create_connection(("127.0.0.1", port), timeout=20) as peer:
        peer.sendall(b"nonsense\r\n\r\n")
        assert peer.recv(100).startswith(b"HTTP/1.1 400")
