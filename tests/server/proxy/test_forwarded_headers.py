"""Forwarded fields of trusted and untrusted proxies."""

import asyncio
import socket
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corn.server.proxy.forwarded_headers import ForwardedHeaders
from corn.server.proxy.trusted_networks import TrustedNetworks
from tests.support.asgi_server import Peer, hello, listen_unix, serving
from tests.support.scopes import scope_for

ALL = ("for", "proto", "host", "port", "prefix")


def test_forwarded_client_and_scheme_of_trusted_proxy_apply(run):
    scope = scope_for(run, b"X-Forwarded-For: 1.2.3.4", b"X-Forwarded-Proto: https")
    assert (scope["client"], scope["scheme"]) == (("1.2.3.4", 0), "https")
    assert (b"host", b"x") in scope["headers"]


@pytest.mark.parametrize("options", [{"proxy_headers": False}, {"forwarded_allow_ips": ("10.0.0.0/8",)}])
def test_forwarded_fields_of_untrusted_peer_are_ignored(run, options):
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
        (b"[2001:db8::1]", "2001:db8::1"),
        (b"2001:DB8:0::0001", "2001:db8::1"),
        (b"[2001:db8::1]:65535, 10.0.0.1:0", "2001:db8::1"),
        (b"9.9.9.9, unknown, 10.0.0.1", "10.0.0.1"),
    ],
)
def test_client_is_last_address_outside_trusted_networks(run, value, client):
    scope = scope_for(run, b"X-Forwarded-For: " + value, forwarded_allow_ips=("127.0.0.1", "10.0.0.0/8"))
    assert scope["client"][0] == client


def test_forwarded_hidden_client_keeps_proxy_address(run):
    options = {"proxy_fields": ("forwarded",), "forwarded_allow_ips": ("127.0.0.1", "10.0.0.1")}
    scope = scope_for(run, b'Forwarded: for=9.9.9.9;proto=http, for="_x:_y";proto=https, for=10.0.0.1', **options)
    assert (scope["client"][0], scope["scheme"]) == ("10.0.0.1", "https")


@pytest.mark.parametrize(
    "lines",
    [
        [b'for="x, for=1.2.3.4'],
        [b'for="x, for="1.2.3.4"'],
        [b'for=6.6.6.6;a=", for=1.2.3.4'],
        [b"for=6.6.6.6 6, ;, for=1.2.3.4;;proto=http ,"],
        [b"=,for=1.2.3.4"],
        [b'for="', b"for=1.2.3.4"],
        [b"for=6.6.6.6", b',, for="1.2.3.4:8"'],
        [b"for=6.6.6.6, FOR=1.2.3.4"],
    ],
)
def test_malformed_forwarded_elements_do_not_hide_client(run, lines):
    scope = scope_for(run, *(b"Forwarded: " + each for each in lines), proxy_fields=("forwarded",))
    assert scope["client"][0] == "1.2.3.4"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (b"X-Forwarded-For", b"1" * 60_000),
        (b"X-Forwarded-For", b"1:" * 30_000),
        (b"X-Forwarded-For", b"a" * 60_000 + b":!"),
        (b"X-Forwarded-For", b"[" * 60_000),
        (b"X-Forwarded-For", b"10.0.0.1," * 6_600),
        (b"Forwarded", b"a" * 60_000),
        (b"Forwarded", b'a="' * 20_000),
        (b"Forwarded", b'a="' + b"," * 60_000),
        (b"Forwarded", b'a="\\,' * 12_000),
        (b"Forwarded", b" " * 60_000),
        (b"Forwarded", b"a=b " * 15_000),
        (b"Forwarded", b"a=b;" * 15_000 + b"!"),
        (b"X-Forwarded-Prefix", b"/a" * 30_000 + b"!"),
        (b"X-Forwarded-Host", b"[" + b":" * 60_000),
        (b"X-Forwarded-Host", b"%41" * 20_000 + b"!"),
    ],
)
def test_forwarded_field_of_maximum_length_takes_linear_time(name, value):
    # Processor time: quadratic work takes seconds, linear work milliseconds.
    scope = {"headers": [(name.lower(), value)], "scheme": "http", "client": None, "server": ("x", 1), "root_path": ""}
    scope.update(path="/", raw_path=b"/")
    fields = ("forwarded",) if name == b"Forwarded" else ALL
    before = time.thread_time()
    ForwardedHeaders(TrustedNetworks(["10.0.0.1"]), fields).apply(scope, ("10.0.0.1", 4711))
    assert time.thread_time() - before < 0.5


def test_repeated_fields_are_one_list(run):
    scope = scope_for(run, b"X-Forwarded-For: 9.9.9.9", b"X-Forwarded-For: 1.2.3.4")
    assert scope["client"][0] == "1.2.3.4"


def test_forged_first_list_entry_is_ignored(run):
    scope = scope_for(run, b"X-Forwarded-For: 9.9.9.9, 1.2.3.4", b"X-Forwarded-Proto: https, http")
    assert (scope["client"][0], scope["scheme"]) == ("1.2.3.4", "http")


def test_forwarded_host_port_and_prefix_apply_by_option(run):
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
def test_malformed_field_changes_nothing(run, line):
    scope, plain = scope_for(run, line, proxy_fields=ALL), scope_for(run)
    for key in ("scheme", "path", "root_path"):
        assert scope[key] == plain[key]
    assert scope["server"][0] == "127.0.0.1"
    assert (b"host", b"x") in scope["headers"]


def test_forwarded_field_replaces_x_forwarded_by_option(run):
    line = b'Forwarded: for=9.9.9.9, for="[2001:db8::1]:80";proto=https;host="example.com:444", for=10.0.0.1;proto=http'
    options = {"proxy_fields": ("forwarded",), "forwarded_allow_ips": ("127.0.0.1", "10.0.0.1")}
    scope = scope_for(run, line, b"X-Forwarded-For: 6.6.6.6", **options)
    assert scope["client"] == ("2001:db8::1", 80)
    assert scope["scheme"] == "https"
    assert scope["server"] == ("example.com", 444)
    assert scope_for(run, line)["client"][0] == "127.0.0.1"


@pytest.mark.parametrize(
    "value", [b"for", b"for=1.2.3.4;; x", b"for=a b", b'for="1.2.3.4', b"for=unknown", b"for=_hidden"]
)
def test_forwarded_field_without_client_is_ignored(run, value):
    assert scope_for(run, b"Forwarded: " + value, proxy_fields=("forwarded",))["client"][0] == "127.0.0.1"


def test_unix_socket_peer_is_trusted(run, tmp_path):
    listener = listen_unix(str(tmp_path / "socket"))
    scope = scope_for(run, b"X-Forwarded-For: 1.2.3.4", listener=listener)
    assert scope["client"] == ("1.2.3.4", 0)
    assert scope["server"] == (str(tmp_path / "socket"), None)


def test_unix_socket_has_port_of_forwarded_host_only(run, tmp_path):
    listener = listen_unix(str(tmp_path / "socket"))
    scope = scope_for(run, b"X-Forwarded-Port: 8443", listener=listener, proxy_fields=ALL)
    assert scope["server"] == (str(tmp_path / "socket"), None)
    listener = listen_unix(str(tmp_path / "other"))
    fields = (b"X-Forwarded-Host: app.example", b"X-Forwarded-Port: 8443")
    scope = scope_for(run, *fields, listener=listener, proxy_fields=ALL)
    assert scope["server"] == ("app.example", 8443)


@pytest.mark.parametrize("interface", ["asgi3", "wsgi"])
def test_named_unix_socket_peer_has_no_address(run, tmp_path, interface):
    seen = {}

    async def asgi(scope, receive, send):
        seen["client"] = scope["client"]
        await hello(scope, receive, send)

    def wsgi(environ, start_response):
        seen["client"] = (environ["REMOTE_ADDR"], environ["REMOTE_PORT"])
        start_response("200 OK", [("Content-Length", "2")])
        return [b"ok"]

    async def main():
        listener = listen_unix(str(tmp_path / "socket"))
        app = wsgi if interface == "wsgi" else asgi
        async with serving(app, listener=listener, interface=interface, forwarded_allow_ips=("10.0.0.1",)) as at:
            with socket.socket(socket.AF_UNIX) as sock:
                sock.bind(str(tmp_path / "client"))
                sock.setblocking(False)
                await asyncio.get_running_loop().sock_connect(sock, at.address)
                peer = Peer(*await asyncio.open_unix_connection(sock=sock))
                assert (await peer.request(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")).status == 200
                peer.close()

    run(main())
    assert seen["client"] == (None if interface == "asgi3" else ("", ""))


ELEMENTS = st.one_of(
    st.sampled_from([b"", b"1.2.3.4", b"1.2.3.4:80", b"::1", b"[::1]:8", b"https", b"WSS", b"h.test:81", b"/p", b"_x"]),
    st.text('0123456789abf.:[]/_-=;," ', max_size=12).map(str.encode).map(bytes.strip),
)


@given(st.lists(st.tuples(st.sampled_from([*ALL, "forwarded"]), ELEMENTS), max_size=4), st.sampled_from([0, 1]))
def test_single_value_equals_list_of_one_element(lines, standard):
    headers = [(b"forwarded" if name == "forwarded" else b"x-forwarded-" + name.encode(), each) for name, each in lines]
    if standard:
        headers = [(b"forwarded", b"for=" + each if position else each) for position, (_, each) in enumerate(lines[:2])]
    forwarded = ForwardedHeaders(TrustedNetworks(["10.0.0.1", "1.2.3.4"]), ("forwarded",) if standard else ALL)
    scopes = []
    for apply in (lambda scope: forwarded.apply(scope, ("10.0.0.1", 1)), forwarded._apply_lists):
        scope = {"headers": list(headers), "scheme": "http", "client": ("10.0.0.1", 1), "server": ("x", 1)}
        scope.update(root_path="", path="/", raw_path=b"/")
        apply(scope)
        scopes.append(scope)
    assert scopes[0] == scopes[1]


def test_remembered_addresses_are_bounded_and_judged_alike():
    trust = TrustedNetworks(("10.0.0.0/8",))
    for number in range(2000):
        assert trust.contains(f"10.0.{number // 250}.{number % 250}")
        assert not trust.contains(f"11.0.{number // 250}.{number % 250}")
        assert len(trust._remembered) <= 1024
