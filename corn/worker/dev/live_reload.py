"""Live reload in workers of `corn dev`: pages receive a script that listens for reloads.

The script connects to the watcher process, `http://127.0.0.1:PORT/TOKEN`, so the worker has no open connection for it.
A page that cannot reach that address polls `/__corn__/TOKEN` at the address of the application instead, and the worker
forwards the request to the watcher (docs/explanation/decisions, 9).
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import time
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from corn.frozen import frozen
from corn.server.asgi.types import ASGIApplication, Message, Receive, Scope, Send
from corn.worker.dev.csp import ScriptPermission, allow
from corn.worker.dev.html_injection import HTMLInjection

PREFIX = "/__corn__/"
_TIMEOUT = 2.0
_PAGE_DESTINATIONS = ("document", "iframe", "frame")
# Extensions that send a file without passing its bytes through the application's messages.
_BYPASSING = {"http.response.pathsend", "http.response.zerocopysend"}


def with_refresh(
    app: ASGIApplication, url: str, revision: int, *, root: str = "", failed: bool = False
) -> ASGIApplication:
    """Middleware: pages of the application listen at `url` for a revision of the code other than `revision`.

    `root` is the option `root_path`; `failed`: a responder is served in place of the application.
    """

    async def refreshing(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
        elif scope["path"].removeprefix(root).startswith(PREFIX):
            await _answer(scope, send, url, root)
        elif not may_request_page(scope):
            await app(scope, receive, send)
        else:
            script = Script(url, root, revision, failed, scope["method"] == "GET")
            await app(_without_bypass(scope), receive, _inserting(send, script))

    return refreshing


def may_request_page(scope: Scope) -> bool:
    """True if a request can come from a navigation, and not from a script that fetches a part of a page."""
    if scope["method"] == "HEAD":
        return False
    fields = {name: value.decode("latin-1").lower() for name, value in scope["headers"]}
    if "hx-request" in map(bytes.decode, fields) or fields.get(b"x-requested-with") == "xmlhttprequest":
        return False
    return fields.get(b"sec-fetch-dest", "document") in _PAGE_DESTINATIONS


def _without_bypass(scope: Scope) -> Scope:
    extensions = {name: each for name, each in (scope.get("extensions") or {}).items() if name not in _BYPASSING}
    return {**scope, "extensions": extensions}


def _inserting(send: Send, undated: Script) -> Send:
    def element_for(policies: list[str]) -> tuple[list[str], bytes]:
        script = replace(undated, rendered=time.time())
        permission = ScriptPermission(script.hash, origin_of(script.url))
        allowed = [allow(each, permission) for each in policies]
        nonces = {nonce for _, nonce in allowed}
        return [policy for policy, _ in allowed], script.element(nonces.pop() if len(nonces) == 1 else "")

    insertion = HTMLInjection(element_for)

    async def sending(message: Message) -> None:
        for each in insertion.feed(message):
            await send(each)

    return sending


async def _answer(scope: Scope, send: Send, url: str, root: str) -> None:
    """Forward the request to the watcher; one without the token gets 404."""
    status, body = 404, b"not found\n"
    if scope["path"].removeprefix(root) == path_of(url):
        status, body = await _state_of_watcher(url)
    headers: list[Any] = [
        (b"content-type", b"application/json" if status == 200 else b"text/plain; charset=utf-8"),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


async def _state_of_watcher(url: str) -> tuple[int, bytes]:
    """The state from the watcher; 503 while it cannot be reached."""
    parts = urlsplit(url)
    try:
        return 200, await asyncio.wait_for(_fetch_state(parts.hostname or "", parts.port or 80, parts.path), _TIMEOUT)
    except (OSError, ValueError, asyncio.TimeoutError, asyncio.IncompleteReadError):
        return 503, b"the watcher does not answer\n"


async def _fetch_state(host: str, port: int, path: str) -> bytes:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(f"GET {path}/state HTTP/1.1\r\nhost: {host}:{port}\r\n\r\n".encode())
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200 "):
            raise ValueError(head)
        return body
    finally:
        writer.close()


@frozen
class Script:
    """The script of one worker's pages.

    `url` is the address to listen at, `root` the application's mount point, `revision` counts the versions of the code,
    and `failed` says that this one cannot be served. `repeatable`: the page may be requested again without harm. The
    page was `rendered` at that time.time(): what was saved between then and its connection is not on it.
    """

    url: str
    root: str
    revision: int
    failed: bool
    repeatable: bool
    rendered: float = 0.0

    @property
    def source(self) -> str:
        about = {
            "listens": self.url,
            "asks": f"{self.root}{path_of(self.url)}",
            "revision": self.revision,
            "failed": self.failed,
            "repeatable": self.repeatable,
            "rendered": self.rendered,
        }
        return _template().replace("__CORN__", json.dumps(about).replace("<", "\\u003c"), 1)

    @property
    def hash(self) -> str:
        """The source expression that allows it (Content Security Policy 3, 2.3.1)."""
        digest = hashlib.sha256(self.source.encode()).digest()
        return f"'sha256-{base64.b64encode(digest).decode()}'"

    def element(self, nonce: str = "") -> bytes:
        """The element for the page."""
        attribute = f' nonce="{nonce}"' if nonce else ""
        return f"<script{attribute}>{self.source}</script>".encode()


def origin_of(url: str) -> str:
    """Scheme, host and port of the address, for the connect-src of a policy."""
    return "/".join(url.split("/")[:3])


def path_of(url: str) -> str:
    """Path of the same resource on the application's own address."""
    return PREFIX + url.rpartition("/")[2]


@cache
def _template() -> str:
    return Path(__file__).with_name("live_reload.js").read_text("utf-8")
