"""The admin address: where monitoring asks how the service is."""

from __future__ import annotations

from dataclasses import dataclass

from corn.config.admin_kinds import AdminAddress
from corn.config.kinds import Integer, Maybe
from corn.config.options import option

ADMIN = "Monitoring"


@dataclass(frozen=True, kw_only=True)
class AdminOptions:
    admin: str | None = option(
        None,
        Maybe(AdminAddress()),
        "Tell on ADDRESS how the service is: /livez, /readyz, /status and /metrics for Prometheus. "
        "A port alone is one of 127.0.0.1; host:port and unix:path are taken too. Nobody is asked who they are. Needs "
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
