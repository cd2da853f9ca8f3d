"""Allowed hosts: requests for other host names are refused, as a protection against DNS rebinding."""

import pytest

from corn.server.asgi.allowed_hosts import host_name, with_allowed_hosts
from tests.support.asgi_server import hello, listen_unix, serving
from tests.support.websocket_peer import HANDSHAKE


def status(run, host, *names, request="GET / HTTP/1.1\r\n{}\r\n", **options):
    app = with_allowed_hosts(hello, names, option="--allow-host")
    field = f"Host: {host}\r\n" if host is not None else ""

    async def main():
        async with serving(app, **options) as at:
            return await at.request(request.format(field).encode())

    return run(main())


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.1:8000",
        "192.168.1.7:8000",
        "[::1]",
        "[2001:db8::1]:8000",
        "localhost",
        "LOCALHOST:8000",
        "localhost.",
        "app.localhost:8000",
        "corn:8000",
        "own.example:8000",
        "OWN.example.",
        "a.sub.example",
        "",
    ],
)
def test_local_or_allowed_host_is_answered(run, host):
    assert status(run, host, "own.example", ".sub.example").status == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8000",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "sub.example",
        "own.example.evil.example",
        "notown.example",
        "127.1",
        "0x7f.0.0.1",
        "evil.example.",
    ],
)
def test_other_host_is_refused(run, host):
    answer = status(run, host, "own.example", ".sub.example")
    name = host_name(host)
    assert (answer.status, answer.body.decode()) == (
        421,
        f"Misdirected Request: host {name} is not allowed; add it with --allow-host\n",
    )


def test_request_without_browser_host_check_is_answered(run, tmp_path):
    assert status(run, None, request="GET / HTTP/1.0\r\n{}\r\n").status == 200
    assert status(run, "evil.example", listener=listen_unix(str(tmp_path / "socket"))).status == 200
    assert status(run, "evil.example", "*").status == 200


def test_websocket_for_other_host_is_refused(run):
    request = HANDSHAKE.decode().replace("Host: x\r\n", "{}")
    assert status(run, "evil.example", request=request).status == 403


def test_absolute_target_overrides_host_field(run):
    answer = status(run, "localhost", request="GET http://evil.example/ HTTP/1.1\r\n{}\r\n")
    assert answer.status == 421
