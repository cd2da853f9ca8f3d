"""Static files over a connection: responses, index pages, precompressed files, and path traversal."""

import gzip
import os
import tempfile
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from corn.server.static.files import Directory
from tests.server.tls.test_tls import tls_of
from tests.support.asgi_server import serving
from tests.support.certificates import Issued, client

BIG = os.urandom(300_000)


@pytest.fixture
def site(tmp_path):
    """Served directory, and files beside it that must not be served."""
    root = tmp_path / "public"
    for name, content in (
        ("index.html", b"<p>home"),
        ("app.js", b"let a = 1;" * 50),
        ("big.bin", BIG),
        ("docs/index.html", b"<p>docs"),
        ("empty/x.txt", b"x"),
        ("a b/\u00e9.txt", b"accents"),
        (".env", b"SECRET"),
        (".git/config", b"SECRET"),
        (".well-known/acme", b"challenge"),
        ("none.txt", b""),
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    (tmp_path / "secret.txt").write_text("SECRET")
    (tmp_path / "public-too").mkdir()
    (tmp_path / "public-too" / "x.txt").write_text("SECRET")
    (root / "out.txt").symlink_to(tmp_path / "secret.txt")
    (root / "outside").symlink_to(tmp_path)
    (root / "too").symlink_to(tmp_path / "public-too")
    (root / "inside.js").symlink_to(root / "app.js")
    (root / "loop").symlink_to(root / "loop")
    os.mkfifo(root / "fifo")
    return root


async def app(scope, receive, send):
    body = b"the application has " + scope["path"].encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-app", b"yes")]})
    await send({"type": "http.response.body", "body": body})


def ask(run, site, path, *headers, method="GET", mount="/static", **options):
    """Response to one request."""

    async def main():
        lines = "".join(f"{each}\r\n" for each in headers)
        async with serving(app, static=(f"{mount}={site}",), **options) as running:
            peer = await running.connect(f"{method} {path} HTTP/1.1\r\nHost: corn\r\n{lines}\r\n".encode("latin-1"))
            return await peer.answer(head_only=method == "HEAD")

    return run(main())


def test_file_has_validators_and_cache_headers(run, site):
    answer = ask(run, site, "/static/app.js?v=1")
    assert (answer.status, answer.body) == (200, b"let a = 1;" * 50)
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.headers["cache-control"] == "public, max-age=60"
    assert answer.headers["accept-ranges"] == "bytes"
    assert "vary" not in answer.headers
    assert answer.headers["last-modified"].endswith(" GMT")
    again = ask(run, site, "/static/app.js", f"If-None-Match: {answer.headers['etag']}")
    assert again.status == 304
    assert again.headers["etag"] == answer.headers["etag"]
    since = ask(run, site, "/static/app.js", f"If-Modified-Since: {answer.headers['last-modified']}")
    assert since.status == 304


def test_large_file_is_sent_whole_and_by_range(run, site):
    assert ask(run, site, "/static/big.bin").body == BIG
    part = ask(run, site, "/static/big.bin", "Range: bytes=1000-200999")
    assert part.status == 206
    assert part.headers["content-range"] == "bytes 1000-200999/300000"
    assert part.body == BIG[1000:201000]
    tail = ask(run, site, "/static/big.bin", "Range: bytes=-10")
    assert tail.body == BIG[-10:]
    gone = ask(run, site, "/static/big.bin", "Range: bytes=300000-")
    assert (gone.status, gone.headers["content-range"]) == (416, "bytes */300000")
    other = ask(run, site, "/static/big.bin", "Range: bytes=0-9", 'If-Range: "other"')
    assert (other.status, len(other.body)) == (200, len(BIG))


def test_head_of_file_equals_get_without_body(run, site):
    get, head = ask(run, site, "/static/big.bin"), ask(run, site, "/static/big.bin", method="HEAD")
    assert head.status == 200
    assert {k: v for k, v in head.headers.items() if k != "date"} == {
        k: v for k, v in get.headers.items() if k != "date"
    }


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_write_method_to_file_gets_405(run, site, method):
    answer = ask(run, site, "/static/app.js", method=method)
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
@pytest.mark.parametrize(
    ("path", "mount"),
    [("/", "/"), ("/docs", "/"), ("/docs/", "/"), ("/static", "/static"), ("/static/", "/static"), ("/none", "/")],
)
def test_write_method_to_other_path_reaches_application(run, site, path, mount, method):
    answer = ask(run, site, path, method=method, mount=mount)
    assert (answer.status, answer.headers.get("x-app")) == (200, "yes")


def test_directory_serves_index_page_and_redirects(run, site):
    assert ask(run, site, "/static/").body == b"<p>home"
    assert ask(run, site, "/static/docs/").body == b"<p>docs"
    moved = ask(run, site, "/static/docs?a=b")
    assert (moved.status, moved.headers["location"]) == (307, "/static/docs/?a=b")
    moved = ask(run, site, "/static")
    assert (moved.status, moved.headers["location"]) == (307, "/static/")
    moved = ask(run, site, "/static?a", root_path="/api")
    assert (moved.status, moved.headers["location"]) == (307, "/api/static/?a")
    assert ask(run, site, "/static", method="HEAD").status == 307
    assert ask(run, site / "empty", "/static").headers["x-app"] == "yes"
    assert ask(run, site, "/static/empty/").headers["x-app"] == "yes"
    assert ask(run, site, "/static/app.js/").headers["x-app"] == "yes"


def test_root_mount_falls_through_to_application(run, site):
    assert ask(run, site, "/", mount="/").body == b"<p>home"
    assert ask(run, site, "/app.js", mount="/").status == 200
    assert ask(run, site, "/api/items", mount="/").body == b"the application has /api/items"
    assert ask(run, site, "/staticapp.js").headers["x-app"] == "yes"


def test_escaped_file_names_are_decoded(run, site):
    assert ask(run, site, "/static/" + quote("a b/\u00e9.txt")).body == b"accents"
    assert ask(run, site, "/static/none.txt").body == b""


def test_root_path_precedes_mount(run, site):
    assert ask(run, site, "/static/app.js", root_path="/api").status == 200


def test_precompressed_file_is_negotiated(run, site):
    script = site / "app.js"
    packed = site / "app.js.gz"
    packed.write_bytes(gzip.compress(script.read_bytes()))
    (site / "app.js.br").write_bytes(b"not really brotli")
    answer = ask(run, site, "/static/app.js", "Accept-Encoding: gzip")
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["vary"] == "accept-encoding"
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert gzip.decompress(answer.body) == script.read_bytes()
    best = ask(run, site, "/static/app.js", "Accept-Encoding: gzip", "Accept-Encoding: br")
    assert best.headers["content-encoding"] == "br"
    plain = ask(run, site, "/static/app.js", "Accept-Encoding: identity")
    assert "content-encoding" not in plain.headers
    assert plain.headers["vary"] == "accept-encoding"
    assert len({answer.headers["etag"], best.headers["etag"], plain.headers["etag"]}) == 3
    not_modified = ask(run, site, "/static/app.js", "Accept-Encoding: gzip", f"If-None-Match: {answer.headers['etag']}")
    assert (not_modified.status, not_modified.headers["vary"]) == (304, "accept-encoding")
    for stale in (packed, site / "app.js.br"):
        os.utime(stale, (1, 1))
    assert "content-encoding" not in ask(run, site, "/static/app.js", "Accept-Encoding: gzip, br").headers


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/docs/../../secret.txt",
        "/docs/%2e%2e/%2e%2e/secret.txt",
        "/.env",
        "/%2eenv",
        "/.git/config",
        "/out.txt",
        "/outside/secret.txt",
        "/too/x.txt",
        "//app.js",
        "/./app.js",
        "/docs//index.html",
        "/%2e/app.js",
        "/%252e%252e/secret.txt",
        "/../public-too/x.txt",
        "/fifo",
        "/loop",
        "/" + "a" * 300,
        "/app.js%20",
    ],
)
def test_path_outside_mount_or_hidden_reaches_application(run, site, path):
    answer = ask(run, site, "/static" + path)
    assert b"SECRET" not in answer.body
    assert answer.headers.get("x-app") == "yes"


def test_nul_in_path_gets_400(run, site):
    assert ask(run, site, "/static/app.js%00.txt").status == 400


def test_inner_symlinks_and_well_known_files_are_served(run, site):
    assert ask(run, site, "/static/inside.js").status == 200
    assert ask(run, site, "/static/.well-known/acme").body == b"challenge"


def test_files_are_served_over_tls_and_beside_wsgi(run, site, tmp_path):
    def wsgi(environ, start_response):
        start_response("200 OK", [("X-App", "wsgi")])
        return [b"wsgi"]

    async def main():
        tls = tls_of(Issued(tmp_path, "a"))
        async with serving(wsgi, static=(f"/static={site}",), tls=tls) as running:
            peer = await running.connect(ssl=client(), server_hostname="localhost")
            file = await peer.request(b"GET /static/big.bin HTTP/1.1\r\nHost: corn\r\n\r\n")
            return file.body, (await peer.request(b"GET /static/none HTTP/1.1\r\nHost: corn\r\n\r\n")).body

    assert run(main()) == (BIG, b"wsgi")


SEGMENTS = st.lists(
    st.one_of(
        st.sampled_from(["..", ".", "", "outside", "too", "docs", "out.txt", "secret.txt", "public", "\0", "~", "..."]),
        st.text(max_size=6),
    ),
    max_size=8,
)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(SEGMENTS, st.sampled_from(["/", "//", "\\", "/./", "/../"]))
def test_arbitrary_path_never_leaves_directory(segments, separator):
    path = "/" + separator.join(segments)
    found = Directory(str(_Site.root())).find(path)
    assert found is None or Path(found).is_relative_to(_Site.root())


class _Site:
    """One directory for all examples, with symbolic links that lead outside."""

    _made = None

    @classmethod
    def root(cls):
        if cls._made is None:
            cls._made = tempfile.TemporaryDirectory()
            top = Path(cls._made.name).resolve()
            (top / "public" / "docs").mkdir(parents=True)
            (top / "secret.txt").write_text("SECRET")
            (top / "public" / "outside").symlink_to(top)
            (top / "public" / "too").symlink_to("..")
            (top / "public" / "out.txt").symlink_to("../secret.txt")
        return Path(cls._made.name).resolve() / "public"
