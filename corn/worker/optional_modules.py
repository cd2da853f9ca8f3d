"""Modules of corn that an option selects: a template loads them, so that its workers share them."""

from __future__ import annotations

from corn.config import Config
from corn.server.http2 import http2_connection
from corn.server.static import static_files
from corn.worker.event_loop import import_event_loop
from corn.worker.in_development import import_for_development


def import_optional_modules(config: Config, *, development: bool) -> None:
    """Import the modules that the options need, before the application can change the module path."""
    import_event_loop(config.loop)
    if development:
        import_for_development()
    http2_connection(config)
    static_files(config)
