"""corn serves Python web applications: `corn.run("main:app", workers=4)`, or `await corn.serve(app)` in your own loop.

Nothing is imported until it is used, so that a master stays small.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from corn.version import __version__

if TYPE_CHECKING:
    from corn.api import run, serve
    from corn.config import Config
    from corn.forking import after_fork

__all__ = ["Config", "__version__", "after_fork", "run", "serve"]


def __getattr__(name: str) -> Any:
    if name in ("run", "serve"):
        from corn import api

        return getattr(api, name)
    if name == "after_fork":
        from corn.forking import after_fork

        return after_fork
    if name == "Config":
        from corn.config import Config

        return Config
    raise AttributeError(f"module 'corn' has no attribute {name!r}")
