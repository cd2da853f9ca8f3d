"""The admin address: where monitoring asks how the service is."""

from __future__ import annotations

from dataclasses import dataclass

from corn.config.options import option
from corn.config.sections._admin_types import AdminAddress
from corn.config.types import Integer, Nullable

ADMIN = "Monitoring"


@dataclass(frozen=True, kw_only=True)
class AdminOptions:
    admin: str | None = option(
        None,
        Nullable(AdminAddress()),
        "Tell on ADDRESS how the service is: /livez, /readyz, /status, /metrics for Prometheus, and / with a page for "
        "people. A port alone is one of 127.0.0.1; host:port and unix:path are taken too. There is no password. Needs "
        "the extra 'admin'.",
        ADMIN,
        reloadable=False,
    )
    admin_ready_workers: int = option(
        1,
        Integer(1, 512),
        "How many workers must be ready for /readyz to say so; all of them where there are fewer.",
        ADMIN,
        reloadable=False,
    )
