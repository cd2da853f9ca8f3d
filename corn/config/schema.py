"""Configuration: `Config`, the values of all options.

It is frozen and contains plain values only: it is sent to templates and workers as JSON, and a reload compares two of
them. It does not access files or other resources.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from corn.config.options import FrozenOptions, Option, declared, section
from corn.config.sections.admin import AdminOptions
from corn.config.sections.development import DevelopmentOptions
from corn.config.sections.http import HTTPOptions, WorkerOptions
from corn.config.sections.limits import LimitsOptions, TimesOptions
from corn.config.sections.logs import LogsOptions
from corn.config.sections.service import AddressesOptions, ApplicationOptions, ProcessesOptions, ReloadsOptions
from corn.config.sections.static import StaticOptions
from corn.config.sections.tls import Secret, TLSOptions
from corn.config.sections.websocket import WebSocketOptions
from corn.config.types import Nullable


@section
class Config(  # a dataclass takes the fields of its bases from the last to the first
    DevelopmentOptions,
    AdminOptions,
    LogsOptions,
    TimesOptions,
    LimitsOptions,
    WebSocketOptions,
    HTTPOptions,
    StaticOptions,
    TLSOptions,
    WorkerOptions,
    ReloadsOptions,
    ProcessesOptions,
    AddressesOptions,
    ApplicationOptions,
    FrozenOptions,
):
    """Values of all options; docs/reference/settings.md describes each field."""

    def to_json(self) -> dict[str, Any]:
        """Fields in a form that JSON can represent."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Config:
        """Inverse of `to_json`: lists become tuples again."""
        plain: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
        }
        return cls(**plain)


OPTIONS: tuple[Option, ...] = declared(Config)
SECRETS = frozenset(each.variable for each in OPTIONS if each.kind == Nullable(Secret()))
"""Environment variables that are for corn alone."""
