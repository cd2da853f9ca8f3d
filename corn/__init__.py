"""corn serves Python web applications: `corn.run("main:app", workers=4)`, or `await corn.serve(app)` in an event loop.

Modules are imported on first use, so that the master stays small.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from corn.version import __version__

if TYPE_CHECKING:
    from corn.api import run, serve
    from corn.config import Config
    from corn.embedding.server import Server
    from corn.forking import after_fork
    from corn.lifecycle import draining, on_drain, wait_for_drain
else:
    _HOMES = {
        "Config": "corn.config",
        "Server": "corn.embedding.server",
        "after_fork": "corn.forking",
        "draining": "corn.lifecycle",
        "on_drain": "corn.lifecycle",
        "run": "corn.api",
        "serve": "corn.api",
        "wait_for_drain": "corn.lifecycle",
    }

    def __getattr__(name):
        if name not in _HOMES:
            raise AttributeError(f"module 'corn' has no attribute {name!r}")
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)

    def __dir__():
        return sorted({*globals(), *_HOMES})


__all__ = [
    "Config",
    "Server",
    "__version__",
    "after_fork",
    "draining",
    "on_drain",
    "run",
    "serve",
    "wait_for_drain",
]
