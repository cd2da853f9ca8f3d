"""Browser refresh, the worker's part: pages of `corn dev` are told where to listen for reloads."""

from __future__ import annotations

from corn.worker.asgi import ASGIApplication


def with_refresh(app: ASGIApplication, url: str, generation: int) -> ASGIApplication:
    """The application, whose pages listen at `url` for a generation of the code after `generation`."""
    del url, generation
    return app
