"""Encoder of response fields: what it sends, which fields it refuses with which words, and what it remembers."""

import pytest

from corn.server.http import response_fields
from corn.server.http.response_fields import (
    CLOSE,
    ENCODED_FIELDS,
    OWN_DATE,
    OWN_SERVER,
    encode_fields,
    status_line,
    without_length,
)

PAIRS = "pairs of bytes, not "


@pytest.mark.parametrize(
    ("status", "line"),
    [(200, b"HTTP/1.1 200 OK\r\n"), (299, b"HTTP/1.1 299 \r\n"), (999, b"HTTP/1.1 999 \r\n")],
)
def test_status_line_has_registered_phrase_or_none(status, line):
    assert status_line(status) == line


@pytest.mark.parametrize("status", [199, 1000, "200", None])
def test_status_that_is_not_final_is_refused(status):
    with pytest.raises(ValueError, match="from 200 to 999"):
        status_line(status)


@pytest.mark.parametrize(
    ("fields", "sent"),
    [
        ([], (b"", -1, 0)),
        ([(b"X-A", b""), (b"x-a", b"1")], (b"X-A: \r\nx-a: 1\r\n", -1, 0)),
        ([(b"Content-Length", b"12")], (b"Content-Length: 12\r\n", 12, 0)),
        ([(b"connection", b"keep-alive")], (b"", -1, 0)),
        ([(b"Connection", b"x, Close")], (b"", -1, CLOSE)),
        ([(b"date", b"today"), (b"server", b"s")], (b"date: today\r\nserver: s\r\n", -1, OWN_DATE | OWN_SERVER)),
        ([(b"transfer-encoding", b"Chunked")], (b"", -1, 0)),
        ([(b"content-length", b"2"), (b"transfer-encoding", b"chunked"), (b"a", b"b")], (b"a: b\r\n", -1, 0)),
    ],
)
def test_response_fields_are_encoded_with_their_flags(fields, sent):
    assert encode_fields(fields) == sent


@pytest.mark.parametrize(
    ("field", "error", "words"),
    [
        ((b"a b", b"1"), ValueError, "invalid response header name b'a b'"),
        ((b"", b"1"), ValueError, "invalid response header name b''"),
        ((b"a", b"1\r\nb: 2"), ValueError, r"header b'a' holds a control byte: b'1\\r\\nb: 2'"),
        ((b"content-length", b"-1"), ValueError, "Content-Length in the response: b'-1'"),
        ((b"transfer-encoding", b"gzip, chunked"), ValueError, "Transfer-Encoding b'gzip, chunked'"),
        (("a", b"1"), TypeError, PAIRS + r"\('a', b'1'\)"),
        ((b"a", "1"), TypeError, PAIRS + r"\(b'a', '1'\)"),
        ((b"content-length", 5), TypeError, PAIRS + r"\(b'content-length', 5\)"),
        ((b"connection", None), TypeError, PAIRS + r"\(b'connection', None\)"),
        ((b"a",), TypeError, PAIRS + r"\(b'a',\)"),
        ([b"a", b"1", b"2"], TypeError, PAIRS + r"\[b'a', b'1', b'2'\]"),
        (5, TypeError, PAIRS + "5"),
        (None, TypeError, PAIRS + "None"),
    ],
)
def test_response_field_that_cannot_be_sent_is_named(field, error, words):
    with pytest.raises(error, match=words):
        encode_fields([(b"x-good", b"1"), field])


def test_repeated_content_length_is_refused():
    with pytest.raises(ValueError, match="repeated Content-Length"):
        encode_fields([(b"content-length", b"1"), (b"Content-Length", b"1")])


@pytest.mark.parametrize("value", [bytearray, memoryview])
def test_control_byte_in_buffer_is_refused(value):
    assert encode_fields([(b"a", value(b"1"))]) == (b"a: 1\r\n", -1, 0)
    with pytest.raises(ValueError, match="control byte"):
        encode_fields([(b"a", value(b"1\n"))])


@pytest.mark.parametrize("kind", [tuple, list])
def test_response_fields_are_validated_on_every_call(kind):
    good, bad = [kind((b"a", b"1"))], [kind((b"a", b"1\n"))]
    for _ in range(3):
        assert encode_fields(good) == (b"a: 1\r\n", -1, 0)
        assert encode_fields(iter(good)) == (b"a: 1\r\n", -1, 0)
        with pytest.raises(ValueError, match="control byte"):
            encode_fields(bad)
        with pytest.raises(TypeError, match="pairs of bytes"):
            encode_fields([kind(("a", "1"))])
        assert ENCODED_FIELDS[((b"a", b"1"),)] == (b"a: 1\r\n", -1, 0)
        with pytest.raises(ValueError, match="control byte"):
            ENCODED_FIELDS[((b"a", b"1\n"),)]


def test_memory_of_response_field_names_is_bounded(monkeypatch):
    monkeypatch.setattr(response_fields, "_names", {})
    for number in range(2000):
        encode_fields([(b"x-%d" % number, b"1")])
    assert len(response_fields._names) == 1024
    monkeypatch.setattr(response_fields, "_names", {})
    encode_fields([(b"n" * 65, b"1"), (b"n" * 64, b"1")])
    assert list(response_fields._names) == [b"n" * 64]


def test_content_length_is_left_out_in_any_case():
    assert without_length([[b"Content-LENGTH", b"1"], (b"a", b"b")]) == [(b"a", b"b")]


def test_field_that_is_no_pair_is_named_where_content_length_is_left_out():
    with pytest.raises(TypeError, match="x-number"):
        without_length([(b"a", b"b"), (b"x-number", 1)])
