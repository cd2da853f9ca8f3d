"""Serve an application for a test, on a free port.

    with corn.testing.serve(app) as server:           # in a thread
        httpx.get(server.url)

    async with corn.testing.serve(app) as server:     # in the running event loop
        ...

pytest finds the fixture `corn_server` automatically (corn/testing/plugin.py). The log of the server is shown in the
report of a failed test, not on the terminal. Modules are imported on first use, because pytest imports this package in
each run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from corn.testing.app_server import AppServer, serve
else:

    def __getattr__(name):
        if name not in __all__:
            raise AttributeError(f"module 'corn.testing' has no attribute {name!r}")
        from corn.testing import app_server

        return getattr(app_server, name)

    def __dir__():
        return sorted({*globals(), *__all__})


__all__ = ["AppServer", "serve"]
