"""Values of options as `corn config` prints them; secrets are masked."""

from __future__ import annotations

from typing import Any

from corn.config.options import Option
from corn.config.sections.tls import Secret
from corn.config.types import Mode, Nullable

_UNSET = "-"


def plain(option: Option, value: Any) -> Any:
    """The value as a TOML file would hold it."""
    kind = option.kind.item if isinstance(option.kind, Nullable) else option.kind
    return kind.show(value) if isinstance(kind, (Mode, Secret)) and value is not None else value


def text(option: Option, value: Any) -> str:
    """The value for people, a hyphen where there is none."""
    return option.kind.show(value) or _UNSET
