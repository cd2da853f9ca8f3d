"""PROXY protocol, versions 1 and 2."""

import json
import socket
import struct

import pytest

from corn.server.asgi.scope import Endpoints
from corn.server.http.errors import HTTPError
from corn.server.proxy.proxy_protocol import parse_proxy_header
from tests.support.asgi_server import hello, serving
from tests.support.scopes import scope_for

V4 = b"\1\2\3\4\5\6\7\x08" + struct.pack("!HH", 1000, 80)


def v2(command=0x21, family=0x11, block=V4, size=None):
    length = len(block) if size is None else size
    return b"\r\n\r\n\0\r\nQUIT\n" + struct.pack("!BBH", command, family, length) + block


ENDS = Endpoints(("127.0.0.1", 1), ("127.0.0.1", 80), "http")
V6 = socket.inet_pton(socket.AF_INET6, "2001:db8::1") * 2 + struct.pack("!HH", 1000, 80)

PREAMBLES = [
    (b"PROXY TCP4 1.2.3.4 5.6.7.8 1000 80\r\n", ("1.2.3.4", 1000), ("5.6.7.8", 80)),
    (b"PROXY TCP6 2001:db8::1 2001:db8::2 1000 80\r\n", ("2001:db8::1", 1000), ("2001:db8::2", 80)),
    (b"PROXY UNKNOWN\r\n", *ENDS[:2]),
    (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", *ENDS[:2]),
    (v2(), ("1.2.3.4", 1000), ("5.6.7.8", 80)),
    (v2(block=V4 + b"\x04\0\1x"), ("1.2.3.4", 1000), ("5.6.7.8", 80)),
    (v2(family=0x21, block=V6), ("2001:db8::1", 1000), ("2001:db8::1", 80)),
    (v2(command=0x20), *ENDS[:2]),
    (v2(family=0x00, block=b""), *ENDS[:2]),
    (v2(family=0x31, block=b"x" * 216), *ENDS[:2]),
]


@pytest.mark.parametrize(("data", "client", "server"), PREAMBLES)
def test_valid_proxy_header_yields_addresses(data, client, server):
    for end in range(len(data)):
        assert parse_proxy_header(data[:end], ENDS) is None
    ends, rest = parse_proxy_header(data + b"GET", ENDS)
    assert (ends.client, ends.server, rest) == (client, server, b"GET")


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n",
        b"PROXY\r\n",
        b"PROXY TCP4 1.2.3.4 5.6.7.8 1000\r\n",
        b"PROXY TCP4 1.2.3.4 5.6.7.8 1000 80 1\r\n",
        b"PROXY TCP4 ::1 ::1 1000 80\r\n",
        b"PROXY TCP6 1.2.3.4 5.6.7.8 1000 80\r\n",
        b"PROXY TCP5 1.2.3.4 5.6.7.8 1000 80\r\n",
        b"PROXY TCP4 1.2.3.4 5.6.7.8 1000 99999\r\n",
        b"PROXY TCP4 1.2.3.4 5.6.7.8 -1 80\r\n",
        b"PROXY TCP4 " + b"1" * 100,
        b"PROXY TCP6 fe80::1%eth0 ::1 1000 80\r\n",
        b"PROXY TCP4 01.2.3.4 5.6.7.8 1000 80\r\n",
        b"PROXY TCP4 1.2.3.4 5.6.7.8 01000 80\r\n",
        b"PROXY UNKNOWN " + b"x" * 100 + b"\r\n",
        v2(command=0x11),
        v2(command=0x22),
        v2(block=b"short"),
        v2(size=60000),
    ],
)
def test_invalid_proxy_header_is_refused(data):
    with pytest.raises(HTTPError):
        parse_proxy_header(data, ENDS)


@pytest.mark.parametrize("data", [PREAMBLES[0][0], v2()])
def test_proxy_header_sets_client_and_server(run, data):
    scope = scope_for(run, before=data, proxy_protocol=True)
    assert (scope["client"], scope["server"]) == (("1.2.3.4", 1000), ("5.6.7.8", 80))


def test_proxy_header_is_required_from_allowed_peers_only(run):
    async def main():
        async with serving(hello, proxy_protocol=True) as at:
            peer = await at.connect(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert await peer.is_closed()
        for options in ({"proxy_protocol": True, "proxy_protocol_allow_ips": ("10.0.0.1",)}, {}):
            async with serving(hello, **options) as at:
                request = PREAMBLES[0][0] + b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
                assert (await at.request(request)).status == 400
                assert (await at.request(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")).status == 200

    run(main())


def test_header_timeout_in_partial_proxy_header_closes_connection(run):
    async def main():
        async with serving(hello, proxy_protocol=True, timeout_header=0.5) as at:
            peer = await at.connect(b"PROXY TCP4")
            assert await peer.is_closed()

    run(main())


def test_request_may_follow_proxy_header_in_packet_of_its_own(run):
    async def main():
        async with serving(hello, proxy_protocol=True) as at:
            peer = await at.connect(PREAMBLES[0][0])
            other = PREAMBLES[0][0] + b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
            assert (await at.request(other)).status == 200  # meanwhile the header of the first has been read
            assert (await peer.request(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")).status == 200

    run(main())


def test_refused_proxy_header_is_in_access_log(run, tmp_path):
    async def main():
        path = str(tmp_path / "access")
        async with serving(hello, proxy_protocol=True, access_log=True, access_log_file=path, log_format="json") as at:
            peer = await at.connect(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert await peer.is_closed()

    run(main())
    (line,) = map(json.loads, (tmp_path / "access").read_text().splitlines())
    assert line["status"] == 400
