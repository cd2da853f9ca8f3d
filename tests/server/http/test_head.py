"""Rules of a request head, by the values of its fields: those that concern one field, and those on all together."""

import pytest

from corn.server.http import head as rules
from corn.server.http.errors import HTTPError, plain_response
from corn.server.http1 import parser
from corn.server.http1.parser import RepeatedFields, oversized_head, parse_head

GET = b"GET / HTTP/1.1\r\nHost: x"


def head_with(*fields, line=b"GET / HTTP/1.1", host=b"Host: x"):
    return parse_head(b"\r\n".join([line, *([host] if host else []), *fields]), 100)


@pytest.mark.parametrize(
    ("field", "attribute", "value"),
    [
        (b"Content-Length: 12", "length", 12),
        (b"Transfer-Encoding: Chunked", "chunked", True),
        (b"Connection: close", "keep_alive", False),
        (b"Connection: x, Close", "keep_alive", False),
        (b"Connection: keep-alive", "keep_alive", True),
        (b"TE: gzip, trailers", "accepts_trailers", True),
        (b"TE: gzip", "accepts_trailers", False),
        (b"Upgrade: WebSocket", "upgrade", b"websocket"),
        (b"Traceparent: 00-1", "traceparent", b"00-1"),
        (b"Forwarded: for=1.2.3.4", "forwarded", True),
        (b"Expect: 100-continue", "expects_continue", False),  # there is no body to wait for
    ],
)
def test_value_of_field_is_read(field, attribute, value):
    assert getattr(head_with(field), attribute) == value


@pytest.mark.parametrize("length", [b"Content-Length: 3", b"Transfer-Encoding: chunked"])
def test_expectation_holds_where_body_follows(length):
    assert head_with(b"Expect: 100-Continue", length).expects_continue
    assert not head_with(b"Expect: 100-continue", b"Content-Length: 0").expects_continue


@pytest.mark.parametrize(
    ("fields", "status", "reason"),
    [
        ([b"Host: y"], 400, "more than one Host header"),
        ([b"Content-Length: 1", b"Content-Length: 1"], 400, "more than one Content-Length header"),
        ([b"Content-Length: +1"], 400, "invalid Content-Length"),
        ([b"Content-Length: " + b"1" * 19], 400, "invalid Content-Length"),
        ([b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"], 400, "more than one Transfer-Encoding header"),
        ([b"Transfer-Encoding: gzip, chunked"], 501, "transfer coding not implemented"),
        ([b"Transfer-Encoding: gzip"], 400, "invalid Transfer-Encoding"),
        ([b"Transfer-Encoding: chunked, chunked"], 400, "invalid Transfer-Encoding"),
        ([b"Transfer-Encoding: , chunked"], 400, "invalid Transfer-Encoding"),
        ([b"Transfer-Encoding: chunked", b"Content-Length: 1"], 400, "both Transfer-Encoding and Content-Length"),
        ([b"Expect: 200-ok"], 417, "unknown expectation"),
        ([b"X Y: 1"], 400, "invalid header name"),
        ([b"X: 1"] * 101, 431, "too many header fields"),
    ],
)
def test_field_that_two_recipients_could_read_differently_is_refused(fields, status, reason):
    with pytest.raises(HTTPError) as caught:
        head_with(*fields)
    assert (caught.value.status, caught.value.reason) == (status, reason)


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"GET /", 400),
        (b"GET / HTTP/x", 400),
        (b"GET / HTTP/2.0", 505),
        (b"G@T / HTTP/1.1", 400),
        (b"get / HTTP/1.1", 501),
        (b"CONNECT x:1 HTTP/1.1", 501),
        (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked", 400),
    ],
)
def test_malformed_or_foreign_request_line_is_refused(line, status):
    with pytest.raises(HTTPError) as caught:
        head_with(line=line)
    assert caught.value.status == status


@pytest.mark.parametrize(
    ("line", "version", "keeps"), [(b"GET / HTTP/1.0", "1.0", False), (b"GET / HTTP/1.7", "1.1", True)]
)
def test_other_minor_version_is_served_as_http11(line, version, keeps):
    head = head_with(line=line)
    assert (head.version, head.keep_alive) == (version, keeps)


def test_connection_of_http10_is_kept_on_request_only():
    assert head_with(b"Connection: keep-alive", line=b"GET / HTTP/1.0").keep_alive
    assert not head_with(b"Connection: keep-alive, close", line=b"GET / HTTP/1.0").keep_alive


def test_host_is_required_in_http11_and_must_be_host():
    for host in (None, b"Host: a b", b"Host: x:99999", b"Host: [::g]"):
        with pytest.raises(HTTPError):
            head_with(host=host)
    assert head_with(host=None, line=b"GET / HTTP/1.0").host is None


@pytest.mark.parametrize(
    ("data", "status"),
    [(b"A" * 200, 501), (b"GET /" + b"a" * 200, 414), (b"GET / HTTP/1.1\r\nX: " + b"a" * 200, 431)],
)
def test_part_that_makes_head_too_long_is_named(data, status):
    assert oversized_head(data, 100).status == status


def test_caches_of_names_hosts_and_options_are_bounded():
    for number in range(3000):
        head_with(b"X-%d: 1" % number, b"Connection: x%d" % number, host=b"Host: h%d.example" % number)
    assert len(rules.FIELD_MEANINGS) <= rules._MAX_NAMES
    assert len(rules._hosts) <= rules._MAX_HOSTS
    assert len(rules._options) <= rules._MAX_OPTIONS
    assert head_with(b"X-2999: 1").headers == [(b"host", b"x"), (b"x-2999", b"1")]


def test_invalid_name_is_reported_after_fault_before_it():
    with pytest.raises(HTTPError) as caught:
        head_with(b"X/Y: 1", b"Content-Length: x", line=b"GET / HTTP/9.9")
    assert caught.value.status == 505


def test_heads_of_many_or_long_names_are_not_kept():
    for number in range(600):
        head_with(b"X-Kept-%d: 1" % number)
    assert len(parser._names) <= parser._MAX_NAMES
    long = tuple(b"X-%d-" % number + b"n" * 100 for number in range(20))
    assert head_with(*(name + b": 1" for name in long)).headers[-1] == (long[-1].lower(), b"1")
    assert not any(set(long) & set(names) for names in parser._names)


def test_repeated_fields_apply_to_usual_lines_only():
    repeated = RepeatedFields.of(head_with(b"X-Forwarded-For: 1.2.3.4"))
    assert repeated.after(b"get / HTTP/1.1") is None
    head = repeated.after(b"GET /b HTTP/1.1")
    assert (head.target, head.forwarded, head.forwarded_at) == (b"/b", True, (1,))


def test_unavailable_service_says_when_to_retry():
    assert (b"retry-after", b"1") in plain_response(503)[0]
    assert plain_response(404, "no such page")[1] == b"Not Found: no such page\n"
