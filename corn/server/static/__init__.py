"""Static files, where option `static` mounts directories. Otherwise their modules are not loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from corn.config import Config

if TYPE_CHECKING:
    from corn.server.static.app import Static


def static_files(config: Config) -> type[Static] | None:
    """Middleware that serves static files; None if none are served."""
    if not config.static:
        return None
    from corn.server.static.app import Static

    return Static
