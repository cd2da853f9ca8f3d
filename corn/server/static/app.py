"""ASGI application that serves static files: `--static /assets=./public`.

It answers requests for files and passes everything else on to the wrapped application, WebSockets and lifespan
included. So it works with every interface and every version of HTTP, and costs nothing if the option is not used. A
large file is sent with sendfile(2) if the scope offers it; a small one is read, because a single write is cheaper.

Rejected: Starlette's StaticFiles, which does not serve compressed siblings and uses a thread for each step. Rejected:
WhiteNoise, which is for WSGI and lists all files at start-up.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from email.utils import formatdate
from pathlib import Path

from corn.config import Config
from corn.config.sections.static import split_mount
from corn.server.asgi.types import ASGIApplication, Receive, Scope, Send
from corn.server.http.errors import plain_response
from corn.server.static.conditional import chosen_range, precondition
from corn.server.static.files import Directory, Opened, opened
from corn.server.static.negotiation import CODINGS, accepted_codings, cache_control, content_type

_ZERO_COPY = "http.response.zerocopysend"
_READS = ("GET", "HEAD")
_SMALL = 65536  # bytes up to which a file is read at once
_PIECE = 131072  # bytes read at a time where a large one must be read

Headers = list[tuple[bytes, bytes]]


class Static:
    """Middleware that serves files and passes all other requests on."""

    def __init__(self, app: ASGIApplication, config: Config) -> None:
        self._app = app
        self._config = config
        mounts = [split_mount(each) for each in config.static]
        mounts.sort(key=lambda mount: -len(mount[0]))  # the longest matching path wins
        self._mounts = [(path, Directory(directory)) for path, directory in mounts]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            path = scope["path"].removeprefix(scope["root_path"])
            for mount, directory in self._mounts:
                inside = path == mount or path.startswith(mount + "/")
                if inside and (found := directory.find(path[len(mount) :])) is not None:
                    if await Reply(scope, send, path, directory, self._config).serve(found):
                        return
                    break
        await self._app(scope, receive, send)


class Reply:
    """Response to a request for `path` (without the root path) from a directory."""

    def __init__(self, scope: Scope, send: Send, path: str, directory: Directory, config: Config) -> None:
        self._scope = scope
        self._send = send
        self._path = path
        self._directory = directory
        self._config = config
        self._asked = _fields(scope)

    async def serve(self, found: str) -> bool:
        """Answer with the file at `found`, or with the index page of the directory; returns False if there is none.

        Only existing files refuse other methods; all other paths belong to the application, so that a front end under
        `/` does not shadow `POST /`.
        """
        if Path(found).is_dir():
            if self._scope["method"] not in _READS:
                return False
            index = self._directory.sibling(found, "/index.html")
            if index is None:
                return False
            if not self._path.endswith("/"):
                await self._redirect()
                return True
            self._path, found = self._path + "index.html", index
        elif self._path.endswith("/"):
            return False
        try:
            with opened(found) as file:
                if file is not None:
                    await self._answer(found, file)
                return file is not None
        except PermissionError:
            await self._plain(403)
            return True

    async def _answer(self, found: str, file: Opened) -> None:
        if self._scope["method"] not in _READS:
            await self._plain(405, [(b"allow", ", ".join(_READS).encode())])
            return
        modified = file.mtime_ns // 10**9
        with ExitStack() as stack:
            chosen, varies = self._choose(stack, found, file)
            etag = _etag(chosen)
            status = precondition(self._asked, etag, modified)
            headers = self._headers(etag, modified, varies=varies)
            if status == 412:
                await self._plain(412)
            elif status == 304:
                await self._start(304, headers)
                await self._send({"type": "http.response.body"})
            else:
                await self._send_file(chosen, modified, headers)

    def _choose(self, stack: ExitStack, found: str, file: Opened) -> tuple[Opened, bool]:
        """File, or a compressed sibling that is not older; and True if there is any sibling."""
        beside = {coding: self._directory.sibling(found, suffix) for coding, suffix in CODINGS.items()}
        if any(beside.values()):
            for coding in accepted_codings(self._asked.get("accept-encoding", "")):
                path = beside[coding]
                compressed = None if path is None else stack.enter_context(opened(path, coding))
                if compressed is not None and compressed.mtime_ns >= file.mtime_ns:
                    return compressed, True
        return file, any(beside.values())

    def _headers(self, etag: str, modified: int, *, varies: bool) -> Headers:
        config = self._config
        headers = [
            (b"etag", etag.encode()),
            (b"last-modified", formatdate(modified, usegmt=True).encode()),
            (b"cache-control", cache_control(self._path, config.static_max_age, config.static_immutable).encode()),
        ]
        if varies:
            headers.append((b"vary", b"accept-encoding"))
        return headers

    async def _send_file(self, file: Opened, modified: int, headers: Headers) -> None:
        status, start, count, is_get = 200, 0, file.size, self._scope["method"] == "GET"
        headers += [(b"content-type", content_type(self._path).encode()), (b"accept-ranges", b"bytes")]
        if file.coding:
            headers.append((b"content-encoding", file.coding.encode()))
        try:
            part = chosen_range(self._asked, _etag(file), modified, file.size) if is_get else None
        except ValueError:
            await self._plain(416, [(b"content-range", b"bytes */%d" % file.size)])
            return
        if part is not None:
            status, (start, count) = 206, part
            headers.append((b"content-range", b"bytes %d-%d/%d" % (start, start + count - 1, file.size)))
        headers.append((b"content-length", b"%d" % count))
        await self._start(status, headers)
        await self._send_bytes(file.fd, start, count if is_get else 0)

    async def _send_bytes(self, fd: int, start: int, count: int) -> None:
        if count <= _SMALL:
            await self._send({"type": "http.response.body", "body": os.pread(fd, count, start)})
        elif _ZERO_COPY in (self._scope.get("extensions") or {}):
            await self._send({"type": _ZERO_COPY, "file": fd, "offset": start, "count": count})
        else:
            end = start + count
            while start < end:
                piece = os.pread(fd, min(_PIECE, end - start), start)
                if not piece:
                    raise RuntimeError("the file became shorter while it was sent")
                start += len(piece)
                await self._send({"type": "http.response.body", "body": piece, "more_body": start < end})

    async def _redirect(self) -> None:
        """Redirect from `/name` to `/name/` of a directory, where the relative links of its page resolve."""
        query = b"?" + self._scope["query_string"] if self._scope["query_string"] else b""
        await self._plain(307, [(b"location", self._scope["raw_path"] + b"/" + query)])

    async def _plain(self, status: int, more: Sequence[tuple[bytes, bytes]] = ()) -> None:
        headers, body = plain_response(status)
        await self._start(status, [*headers, *more])
        await self._send({"type": "http.response.body", "body": body})

    async def _start(self, status: int, headers: Headers) -> None:
        await self._send({"type": "http.response.start", "status": status, "headers": headers})


def _fields(scope: Scope) -> dict[str, str]:
    """Fields of the request by name; those of one name joined as one list (RFC 9110, 5.3)."""
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        key, text = name.decode("latin-1"), value.decode("latin-1")
        found[key] = f"{found[key]}, {text}" if key in found else text
    return found


def _etag(file: Opened) -> str:
    """Strong entity tag: a file that has changed has another time or size."""
    coding = f"-{file.coding}" if file.coding else ""
    return f'"{file.mtime_ns:x}-{file.size:x}{coding}"'
