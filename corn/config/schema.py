"""Every option of corn, each declared once.

`Config` is frozen and holds plain values only: it travels to templates and workers as JSON, and a reload yields a
second one that is compared with the first. It opens, reads and checks nothing outside itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from corn.config.options import Option, declared
from corn.config.sections.admin import AdminOptions
from corn.config.sections.development import DevelopmentOptions
from corn.config.sections.http import HTTPOptions, WorkerOptions
from corn.config.sections.limits import LimitsOptions, TimesOptions
from corn.config.sections.logs import LogsOptions
from corn.config.sections.service import AddressesOptions, ApplicationOptions, ProcessesOptions, ReloadsOptions
from corn.config.sections.static import StaticOptions
from corn.config.sections.tls import TLSOptions
from corn.config.sections.websocket import WebSocketOptions


@dataclass(frozen=True, kw_only=True)
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
):
    """What corn was asked to do. Every field is an option; docs/reference/settings.md lists them."""

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON can carry them."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Config:
        """What `to_json` gave, with lists become tuples again."""
        plain: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
        }
        return cls(**plain)


OPTIONS: tuple[Option, ...] = declared(Config)
