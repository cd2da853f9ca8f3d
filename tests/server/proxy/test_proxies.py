"""What proxies in front say, and who is believed."""

import socket
import struct

import pytest

from corn.config.sections.http import HeaderField, Network
from corn.server.asgi.scope import Endpoints
from corn.server.http.errors import HTTPError
from corn.server.proxy.proxy_protocol import parse_proxy_header
from corn.server.proxy.trusted_networks import TrustedNetworks
from tests.support.asgi_server import hello, listen_unix, serving

ALL = ("for", "proto", "host", "port", "prefix")


def scope_for(run, *lines, listener=None, before=b"", **options):
    seen = {}

    async def app(scope, receive, send):
        seen.update(scope)
        await hello(scope, receive, send)

    async def main():
        async with serving(app, listener=listener, **options) as at:
            await at.request(
                before + b"GET /a HTTP/1.1\r\nHost: x\r\n" + b"".join(each + b"\r\n" for each in lines) + b"\r\n"
            )

    run(main())
    return seen


def test_client_and_scheme_are_taken_from_a_trusted_proxy(run):
    scope = scope_for(run, b"X-Forwarded-For: 1.2.3.4", b"X-Forwarded-Proto: https")
    assert (scope["client"], scope["scheme"]) == (("1.2.3.4", 0), "https")
    assert (b"host", b"x") in scope["headers"]


@pytest.mark.parametrize("options", [{"proxy_headers": False}, {"forwarded_allow_ips": ("10.0.0.0/8",)}])
def test_an_untrusted_peers_headers_change_nothing(run, options):
    lines = [
        b"X-Forwarded-For: 1.2.3.4",
        b"X-Forwarded-Proto: https",
        b"X-Forwarded-Prefix: /p",
        b"X-Forwarded-Host: e",
    ]
    scope = scope_for(run, *lines, proxy_fields=ALL, **options)
    assert scope["client"][0] == "127.0.0.1"
    assert (scope["scheme"], scope["path"], scope["root_path"]) == ("http", "/a", "")
    assert (b"host", b"x") in scope["headers"]


@pytest.mark.parametrize(
    ("value", "client"),
    [
        (b"9.9.9.9, 1.2.3.4", "1.2.3.4"),
        (b"9.9.9.9, 1.2.3.4, 10.0.0.1", "1.2.3.4"),
        (b"9.9.9.9, 1.2.3.4, 10.0.0.2, 10.0.0.1", "1.2.3.4"),
        (b"10.0.0.3, 10.0.0.1", "10.0.0.3"),
        (b"1.2.3.4:567", "1.2.3.4"),
        (b"2001:db8::1", "2001:db8::1"),
        (b"[2001:db8::1]:80", "2001:db8::1"),
        (b"evil, 10.0.0.1", "10.0.0.1"),
        (b"evil", "127.0.0.1"),
        (b"", "127.0.0.1"),
        (b"1.2.3.4, ", "127.0.0.1"),
    ],
)
def test_the_client_is_the_last_that_is_no_proxy(run, value, client):
    scope = scope_for(run, b"X-Forwarded-For: " + value, forwarded_allow_ips=("127.0.0.1", "10.0.0.0/8"))
    assert scope["client"][0] == client


def test_repeated_fields_are_one_list(run):
    scope = scope_for(run, b"X-Forwarded-For: 9.9.9.9", b"X-Forwarded-For: 1.2.3.4")
    assert scope["client"][0] == "1.2.3.4"


def test_what_a_client_put_in_front_of_a_list_is_not_taken(run):
    scope = scope_for(run, b"X-Forwarded-For: 9.9.9.9, 1.2.3.4", b"X-Forwarded-Proto: https, http")
    assert (scope["client"][0], scope["scheme"]) == ("1.2.3.4", "http")


def test_host_port_and_prefix_are_taken_when_the_operator_says_so(run):
    lines = [b"X-Forwarded-Host: example.com", b"X-Forwarded-Proto: https", b"X-Forwarded-Prefix: /api/"]
    scope = scope_for(run, *lines)
    assert (scope["path"], (b"host", b"x") in scope["headers"]) == ("/a", True)
    scope = scope_for(run, *lines, proxy_fields=ALL)
    assert (scope["root_path"], scope["path"], scope["raw_path"]) == ("/api", "/api/a", b"/api/a")
    assert scope["server"] == ("example.com", 443)
    assert [value for name, value in scope["headers"] if name == b"host"] == [b"example.com"]
    scope = scope_for(run, *lines, b"X-Forwarded-Port: 8443", proxy_fields=ALL)
    assert scope["server"] == ("example.com", 8443)
    scope = scope_for(run, b"X-Forwarded-Host: [::1]:81", proxy_fields=ALL)
    assert scope["server"] == ("::1", 81)


@pytest.mark.parametrize(
    "line",
    [
        b"X-Forwarded-Proto: gopher",
        b"X-Forwarded-Host: a/b",
        b"X-Forwarded-Host: \xff",
        b"X-Forwarded-Port: 0",
        b"X-Forwarded-Port: 99999",
        b"X-Forwarded-Port: \xb2",
        b"X-Forwarded-Prefix: //evil.example",
        b"X-Forwarded-Prefix: api",
        b"X-Forwarded-Prefix: /a b",
    ],
)
def test_what_is_malformed_changes_nothing(run, line):
    scope, plain = scope_for(run, line, proxy_fields=ALL), scope_for(run)
    for key in ("scheme", "path", "root_path"):
        assert scope[key] == plain[key]
    assert scope["server"][0] == "127.0.0.1"
    assert (b"host", b"x") in scope["headers"]


def test_forwarded_is_read_instead_when_chosen(run):
    line = b'Forwarded: for=9.9.9.9, for="[2001:db8::1]:80";proto=https;host="example.com:444", for=10.0.0.1;proto=http'
    options = {"proxy_fields": ("forwarded",), "forwarded_allow_ips": ("127.0.0.1", "10.0.0.1")}
    scope = scope_for(run, line, b"X-Forwarded-For: 6.6.6.6", **options)
    assert scope["client"] == ("2001:db8::1", 80)
    assert scope["scheme"] == "https"
    assert scope["server"] == ("example.com", 444)
    assert scope_for(run, line)["client"][0] == "127.0.0.1"


@pytest.mark.parametrize(
    "value", [b"for", b"for=1.2.3.4;;", b"for=a b", b'for="1.2.3.4', b"for=unknown", b"for=_hidden"]
)
def test_forwarded_that_says_nothing_of_use_changes_nothing(run, value):
    assert scope_for(run, b"Forwarded: " + value, proxy_fields=("forwarded",))["client"][0] == "127.0.0.1"


def test_a_peer_on_a_unix_socket_is_trusted(run, tmp_path):
    listener = listen_unix(str(tmp_path / "socket"))
    scope = scope_for(run, b"X-Forwarded-For: 1.2.3.4", listener=listener)
    assert scope["client"] == ("1.2.3.4", 0)
    assert scope["server"] == (str(tmp_path / "socket"), None)


def test_trust():
    trust = TrustedNetworks(["10.0.0.0/8", "::1"])
    hosts = ("10.1.2.3", "11.0.0.1", "::1", "::ffff:10.1.2.3", "fe80::1%eth0", "host", "")
    assert [trust.contains(each) for each in hosts] == [True, False, True, True, False, False, False]
    assert TrustedNetworks(["*"]).contains("anything")
    assert not TrustedNetworks([]).believes(None)


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
def test_preambles(data, client, server):
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
        v2(command=0x11),
        v2(command=0x22),
        v2(block=b"short"),
        v2(size=60000),
    ],
)
def test_invalid_preambles(data):
    with pytest.raises(HTTPError):
        parse_proxy_header(data, ENDS)


@pytest.mark.parametrize("data", [PREAMBLES[0][0], v2()])
def test_a_preamble_names_the_client(run, data):
    scope = scope_for(run, before=data, proxy_protocol=True)
    assert (scope["client"], scope["server"]) == (("1.2.3.4", 1000), ("5.6.7.8", 80))


def test_a_preamble_is_demanded_of_those_who_speak_it_and_refused_from_others(run):
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


def test_half_a_preamble_is_not_waited_for(run):
    async def main():
        async with serving(hello, proxy_protocol=True, timeout_header=0.5) as at:
            peer = await at.connect(b"PROXY TCP4")
            assert await peer.is_closed()

    run(main())


def test_kinds():
    assert Network().parse("10.1.2.3/8") == "10.0.0.0/8"
    assert Network().parse("*") == "*"
    assert HeaderField().parse("X-A:b") == "X-A: b"
    for kind, raw in (
        (Network(), "x"),
        (Network(), ""),
        (HeaderField(), "a"),
        (HeaderField(), "a b: c"),
        (HeaderField(), 1),
    ):
        with pytest.raises(ValueError, match="expected"):
            kind.parse(raw)
