"""The line that tells a person what is served, and where."""

from __future__ import annotations

from collections.abc import Sequence

from corn.config import Config
from corn.version import __version__


def announcement(config: Config, addresses: Sequence[str], preload: str) -> str:
    """One line, such as `corn 0.1.0 serves main:app at http://127.0.0.1:8000 (4 workers, preload app)`."""
    workers = "1 worker" if config.workers == 1 else f"{config.workers} workers"
    where = ", ".join(addresses)
    return f"corn {__version__} serves {config.app} at {where} ({workers}, preload {preload})"
