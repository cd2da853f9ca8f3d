"""Middleware of corn dev in a worker: live reload of pages, and error pages."""

import base64
import hashlib
import json
import socket

import pytest

from corn.reload.live_reload_server import LiveReloadServer, ReloadState
from corn.worker.dev.error_pages import with_error_pages
from corn.worker.dev.live_reload import with_refresh
from tests.support.asgi_server import serving

BROWSER = "Accept: text/html\r\nSec-Fetch-Dest: document\r\n"


def request(path="/", more="", method="GET"):
    return f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{more}\r\n".encode()


def answering(body, kind=b"text/html", status=200, then=None, **fields):
    async def app(scope, receive, send):
        headers = [(b"content-type", kind), (b"content-length", b"%d" % len(body))]
        headers += [(name.replace("_", "-").encode(), value) for name, value in fields.items()]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
        if then is not None:
            raise then

    return app


async def response_to(app, data):
    async with serving(app) as served:
        return await served.request(data)


URL = "http://127.0.0.1:9/sesame"
PAGE = b"<!doctype html><body>hi</body>"


def script_in(page):
    return page.partition(b"<script>")[2].partition(b"</script>")[0]


def test_page_gets_script_and_content_length(run):
    async def main():
        answer = await response_to(with_refresh(answering(PAGE), URL, 3), request())
        assert f'"listens": "{URL}"'.encode() in script_in(answer.body)
        assert b'"revision": 3' in script_in(answer.body)
        assert answer.body.endswith(b"</script></body>")

    run(main())


@pytest.mark.parametrize(
    "more",
    ["Sec-Fetch-Dest: empty\r\n", "HX-Request: true\r\n", "X-Requested-With: XMLHttpRequest\r\n"],
)
def test_script_request_is_unchanged(run, more):
    async def main():
        assert (await response_to(with_refresh(answering(PAGE), URL, 3), request(more=more))).body == PAGE

    run(main())


def test_head_request_is_unchanged(run):
    async def main():
        async with serving(with_refresh(answering(PAGE), URL, 3)) as served:
            peer = await served.connect(request(method="HEAD"))
            assert (await peer.answer(head_only=True)).headers["content-length"] == str(len(PAGE))

    run(main())


def test_page_of_posted_form_is_not_repeatable(run):
    async def main():
        answer = await response_to(
            with_refresh(answering(PAGE), URL, 3), request(method="POST", more="Content-Length: 0\r\n")
        )
        assert b'"repeatable": false' in answer.body

    run(main())


def test_csp_allows_script(run):
    async def main():
        app = answering(PAGE, content_security_policy=b"default-src 'self'")
        answer = await response_to(with_refresh(app, URL, 3), request())
        policy = answer.headers["content-security-policy"]
        digest = base64.b64encode(hashlib.sha256(script_in(answer.body)).digest()).decode()
        assert f"'sha256-{digest}'" in policy
        assert "connect-src 'self' http://127.0.0.1:9" in policy

    run(main())


def test_state_request_of_page_is_forwarded(run):
    async def main():
        with socket.create_server(("127.0.0.1", 0)) as listener:
            live_server = LiveReloadServer(listener, "sesame")
            live_server.announce(ReloadState(revision=7))
            live_server.start()
            app = with_refresh(answering(PAGE), f"http://127.0.0.1:{listener.getsockname()[1]}/sesame", 3, root="/api")
            async with serving(app) as served:
                for path in ("/__corn__/sesame", "/api/__corn__/sesame"):
                    while (answer := await served.request(request(path))).status == 503:
                        pass  # this process stood still for the two seconds that the watcher is given
                    assert json.loads(answer.body)["revision"] == 7
                assert (await served.request(request("/__corn__/guess"))).status == 404

    run(main())


def test_missing_watcher_gets_503(run):
    async def main():
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        app = with_refresh(answering(PAGE), f"http://127.0.0.1:{port}/sesame", 3)
        assert (await response_to(app, request("/__corn__/sesame"))).status == 503

    run(main())


async def broken(scope, receive, send):
    raise KeyError("the reason")


def test_exception_is_shown_as_html_or_text(run):
    async def main():
        page = await response_to(with_error_pages(broken), request("/items", BROWSER))
        assert page.status == 500
        assert b"GET /items failed" in page.body
        assert b"test_error_pages.py" in page.body
        text = await response_to(with_error_pages(broken), request())
        assert text.headers["content-type"] == "text/plain; charset=utf-8"
        assert b"KeyError: 'the reason'" in text.body

    run(main())


def test_plain_500_of_framework_is_replaced(run):
    async def main():
        bare = b"Internal Server Error"
        app = answering(bare, kind=b"text/plain; charset=utf-8", status=500, then=KeyError("the reason"))
        assert b"the reason" in (await response_to(with_error_pages(app), request("/", BROWSER))).body
        assert (
            await response_to(with_error_pages(answering(bare, kind=b"text/plain", status=500)), request())
        ).body == bare

    run(main())


def test_error_page_of_framework_is_kept(run):
    async def main():
        own = b"<html>my own debug page</html>"
        app = answering(own, status=500, then=KeyError("the reason"))
        assert (await response_to(with_error_pages(app), request("/", BROWSER))).body == own

    run(main())
