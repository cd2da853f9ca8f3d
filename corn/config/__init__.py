"""Configuration: option types, option declarations and the sources of their values.

The schema is imported when one of its names is used: it takes two thirds of the start of a command that needs none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from corn.config.schema import OPTIONS, Config

__all__ = ["OPTIONS", "Config"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from corn.config import schema

    return getattr(schema, name)
