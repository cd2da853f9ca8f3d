"""Static files, in front of the application: `--static /assets=./public`.

An ASGI application that answers what is a file and passes on everything else, WebSockets and lifespan included; so it
works with every interface and every version of HTTP, and costs nothing to those who do not use it. A file is sent by
sendfile(2) where that can be, which the scope tells; a small one is read, because one write of all is less work.

Rejected: Starlette's StaticFiles and WhiteNoise. The first knows no compressed siblings and asks a thread for each
step, the second is of WSGI and takes stock of all files at the start.
"""

from __future__ import annotations

from corn.config import Config
from corn.config.sections.static import split_mount
from corn.server.asgi.types import ASGIApplication, Receive, Scope, Send
from corn.server.static.files import Directory
from corn.server.static.response import Reply


def with_static(app: ASGIApplication, config: Config) -> ASGIApplication:
    """The application, behind the directories of option `static`; itself where there are none."""
    return Static(app, config) if config.static else app


class Static:
    """Serves files, and has the application answer the rest."""

    def __init__(self, app: ASGIApplication, config: Config) -> None:
        self._app = app
        self._config = config
        mounts = [split_mount(each) for each in config.static]
        mounts.sort(key=lambda mount: -len(mount[0]))  # the longest path that fits is the one that is meant
        self._mounts = [(path, Directory(directory)) for path, directory in mounts]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            path = scope["path"].removeprefix(scope["root_path"])
            for mount, directory in self._mounts:
                if path.startswith(mount + "/") and (found := directory.find(path[len(mount) :])) is not None:
                    if await Reply(scope, send, path, directory, self._config).serve(found):
                        return
                    break
        await self._app(scope, receive, send)
