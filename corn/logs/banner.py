"""The line that tells a person what is served, and where."""

from __future__ import annotations

from collections.abc import Sequence

from corn.config import Config
from corn.version import __version__


def announcement(config: Config, addresses: Sequence[str], how: str) -> str:
    """One line, such as `corn 0.1.0 serves main:app at http://127.0.0.1:8000 (4 workers, preload app)`."""
    what = config.app or "an application"
    return f"corn {__version__} serves {what} at {', '.join(addresses)} ({how})"
