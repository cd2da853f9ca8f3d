"""Conditional requests, ranges, content coding, caching and content types of static files."""

import pytest

from corn.server.static.conditional import chosen_range, precondition
from corn.server.static.negotiation import accepted_codings, cache_control, content_type

TAG, TIME = '"abc-1"', 1_700_000_000
THEN, BEFORE, AFTER = (
    "Tue, 14 Nov 2023 22:13:20 GMT",
    "Tue, 14 Nov 2023 22:13:19 GMT",
    "Tue, 14 Nov 2023 22:13:21 GMT",
)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"if-none-match": TAG}, 304),
        ({"if-none-match": f'"x", W/{TAG}'}, 304),
        ({"if-none-match": "*"}, 304),
        ({"if-none-match": '"abc"'}, 200),
        ({"if-none-match": '"abc"', "if-modified-since": AFTER}, 200),
        ({"if-modified-since": THEN}, 304),
        ({"if-modified-since": AFTER}, 304),
        ({"if-modified-since": BEFORE}, 200),
        ({"if-modified-since": "yesterday"}, 200),
        ({"if-modified-since": "Tue, 99 Nov 2023 22:13:19 GMT"}, 200),
        ({"if-modified-since": "Tue Nov 14 22:13:20 2023"}, 304),
        ({"if-modified-since": "Tue Nov 14 22:13:19 2023"}, 200),
        ({"if-modified-since": "Tuesday, 14-Nov-23 22:13:20 GMT"}, 304),
        ({"if-modified-since": "Tuesday, 14-Nov-23 22:13:19 GMT"}, 200),
        ({"if-modified-since": "Monday, 14-Nov-94 22:13:20 GMT"}, 200),
        ({"if-unmodified-since": "Tue Nov  7 22:13:20 2023"}, 412),
        ({"if-unmodified-since": "Sunday, 06-Nov-94 08:49:37 GMT"}, 412),
        ({"if-modified-since": f"{BEFORE}, {AFTER}"}, 200),
        ({"if-modified-since": "Wed, 15 Nov 2023 22:13:20 +0100"}, 200),
        ({"if-match": TAG}, 200),
        ({"if-match": f"W/{TAG}"}, 412),
        ({"if-match": '"x"'}, 412),
        ({"if-match": "*", "if-none-match": TAG}, 304),
        ({"if-unmodified-since": BEFORE}, 412),
        ({"if-unmodified-since": THEN}, 200),
        ({"if-match": TAG, "if-unmodified-since": BEFORE}, 200),
    ],
)
def test_precondition_selects_status(headers, status):
    assert precondition(headers, TAG, TIME) == status


@pytest.mark.parametrize(
    ("value", "part"),
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=2-4", (2, 3)),
        ("bytes=5-", (5, 5)),
        ("bytes=-3", (7, 3)),
        ("bytes=-30", (0, 10)),
        ("bytes=8-99", (8, 2)),
        ("BYTES = 1-2", (1, 2)),
        ("bytes=4-2", None),
        ("bytes=0-1,3-4", None),
        ("bytes=", None),
        ("bytes=-", None),
        ("lines=1-2", None),
        ("bytes=a-b", None),
    ],
)
def test_range_selects_bytes(value, part):
    assert chosen_range({"range": value}, TAG, TIME, 10) == part


@pytest.mark.parametrize("value", ["bytes=10-", "bytes=99-100", "bytes=-0"])
def test_unsatisfiable_range_raises(value):
    with pytest.raises(ValueError):
        chosen_range({"range": value}, TAG, TIME, 10)


@pytest.mark.parametrize(
    ("validator", "holds"),
    [(TAG, True), (f"W/{TAG}", False), ('"x"', False), (THEN, True), (AFTER, False), ("nonsense", False)],
)
def test_if_range_applies_to_unchanged_file(validator, holds):
    part = chosen_range({"range": "bytes=1-2", "if-range": validator}, TAG, TIME, 10)
    assert part == ((1, 2) if holds else None)


@pytest.mark.parametrize(
    ("header", "codings"),
    [
        ("", []),
        ("gzip, deflate, br, zstd", ["br", "zstd", "gzip"]),
        ("gzip;q=1.0, br;q=0.5", ["gzip", "br"]),
        ("br;q=0, *", ["zstd", "gzip"]),
        ("*;q=0", []),
        ("identity, gzip;q=0.5", []),
        ("identity;q=0.5, gzip", ["gzip"]),
        ("GZIP", ["gzip"]),
        ("gzip;q=nonsense", ["gzip"]),
    ],
)
def test_accept_encoding_selects_codings(header, codings):
    assert accepted_codings(header) == codings


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("/app.3f2a9c1b.js", "public, max-age=31536000, immutable"),
        ("/app-0123456789abcdef0123.css", "public, max-age=31536000, immutable"),
        ("/v/anything.js", "public, max-age=31536000, immutable"),
        ("/report-20260101.pdf", "public, max-age=60"),
        ("/app-defaced.js", "public, max-age=60"),
        ("/3f2a9c1b4d/app.js", "public, max-age=60"),
        ("/index.html", "public, max-age=60"),
    ],
)
def test_cache_control_follows_path(path, kept):
    assert cache_control(path, 60.0, ("/v/*",)) == kept
    assert cache_control("/index.html", 0.0, ()) == "no-cache"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("/a.html", "text/html; charset=utf-8"),
        ("/a.JS", "text/javascript; charset=utf-8"),
        ("/a.mjs", "text/javascript; charset=utf-8"),
        ("/a.wasm", "application/wasm"),
        ("/a.svg", "image/svg+xml"),
        ("/a.tar.gz", "application/gzip"),
        ("/a.js.br", "application/octet-stream"),
        ("/LICENSE", "application/octet-stream"),
        ("/http:a.css", "text/css; charset=utf-8"),
        ("/.well-known/x.json", "application/json"),
    ],
)
def test_content_type_follows_file_name(name, kind):
    assert content_type(name) == kind
