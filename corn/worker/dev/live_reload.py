"""Browser refresh, the worker's part: pages of `corn dev` are told where to listen for reloads.

The worker holds no connection for it. Where a page cannot reach the watcher's process, it asks here, and the question
is passed on (docs/explanation/decisions, 9).
"""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlsplit

from corn.server.asgi.types import ASGIApplication, Message, Receive, Scope, Send
from corn.worker.dev.csp import ScriptPermission, allow
from corn.worker.dev.html_injection import HTMLInjection
from corn.worker.dev.live_reload_script import PREFIX, Script, origin_of, path_of

_PATIENCE = 2.0
_NAVIGATED = ("document", "iframe", "frame")
# What sends a file without its bytes coming by here.
_PAST_US = {"http.response.pathsend", "http.response.zerocopysend"}


def with_refresh(
    app: ASGIApplication, url: str, revision: int, *, root: str = "", failed: bool = False
) -> ASGIApplication:
    """The application, whose pages listen at `url` for a revision of the code other than `revision`.

    `root` is the option `root_path`; `failed` says that what stands in for the application is served.
    """

    async def refreshing(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
        elif scope["path"].removeprefix(root).startswith(PREFIX):
            await _answer(scope, send, url, root)
        elif not may_ask_for_page(scope):
            await app(scope, receive, send)
        else:
            script = Script(url, root, revision, failed, scope["method"] == "GET")
            await app(_whole(scope), receive, _inserting(send, script))

    return refreshing


def may_ask_for_page(scope: Scope) -> bool:
    """Whether a request can come from a navigation, and not from a script that wants a piece of a page."""
    if scope["method"] == "HEAD":
        return False
    fields = {name: value.decode("latin-1").lower() for name, value in scope["headers"]}
    if "hx-request" in map(bytes.decode, fields) or fields.get(b"x-requested-with") == "xmlhttprequest":
        return False
    return fields.get(b"sec-fetch-dest", "document") in _NAVIGATED


def _whole(scope: Scope) -> Scope:
    extensions = {name: each for name, each in (scope.get("extensions") or {}).items() if name not in _PAST_US}
    return {**scope, "extensions": extensions}


def _inserting(send: Send, script: Script) -> Send:
    def element_for(policies: list[str]) -> tuple[list[str], bytes]:
        wish = ScriptPermission(script.hash, origin_of(script.url))
        allowed = [allow(each, wish) for each in policies]
        nonces = {nonce for _, nonce in allowed}
        return [policy for policy, _ in allowed], script.element(nonces.pop() if len(nonces) == 1 else "")

    insertion = HTMLInjection(element_for)

    async def sending(message: Message) -> None:
        for each in insertion.feed(message):
            await send(each)

    return sending


async def _answer(scope: Scope, send: Send, url: str, root: str) -> None:
    """Pass the question on to the watcher's process; who does not know the token learns nothing."""
    status, body = 404, b"not found\n"
    if scope["path"].removeprefix(root) == path_of(url):
        status, body = await _asked(url)
    headers: list[Any] = [
        (b"content-type", b"application/json" if status == 200 else b"text/plain; charset=utf-8"),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


async def _asked(url: str) -> tuple[int, bytes]:
    """The state as the watcher's process tells it; 503 while that cannot be reached."""
    parts = urlsplit(url)
    try:
        return 200, await asyncio.wait_for(_ask(parts.hostname or "", parts.port or 80, parts.path), _PATIENCE)
    except (OSError, ValueError, asyncio.TimeoutError, asyncio.IncompleteReadError):
        return 503, b"the watcher does not answer\n"


async def _ask(host: str, port: int, path: str) -> bytes:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(f"GET {path}/state HTTP/1.1\r\nhost: {host}:{port}\r\n\r\n".encode())
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200 "):
            raise ValueError(head)
        return body
    finally:
        writer.close()
