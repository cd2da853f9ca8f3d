"""Options of the admin address, which monitoring queries."""

from __future__ import annotations

from corn.config.addresses import UnixAddress, parse_address
from corn.config.options import option, section
from corn.config.types import AnyText, HostName, Integer, ListOf, MatchedText, Nullable
from corn.frozen import frozen

_EXPECTED = "expected a port, host:port, [::1]:port or unix:path"


@frozen
class AdminAddress:
    """TCP or Unix address; a port alone is on the loopback interface, because there is no password."""

    metavar: str = "ADDRESS"
    annotation: str = "int | str"

    def parse(self, raw: object) -> str:
        text = str(raw) if isinstance(raw, (str, int)) and not isinstance(raw, bool) else ""
        if text.isdecimal():
            text = f"127.0.0.1:{text}"
        try:
            address = parse_address(text)
        except ValueError:
            raise ValueError(_EXPECTED) from None
        has_port = text.rpartition(":")[2].isdecimal() and not text.endswith("]")
        if text.startswith("fd://") or not (isinstance(address, UnixAddress) or has_port):
            raise ValueError(_EXPECTED)
        return text

    def show(self, value: str) -> str:
        return value


@frozen
class StatsdAddress:
    """Address of a StatsD server: host and port, or a Unix socket."""

    metavar: str = "ADDRESS"
    annotation: str = "str"

    def parse(self, raw: object) -> str:
        text = raw if isinstance(raw, str) else ""
        has_port = text.rpartition(":")[2].isdecimal() and text.rpartition(":")[0] not in ("", "unix")
        if not (has_port or text.startswith("unix:")) or text.startswith("fd://"):
            raise ValueError("expected host:port, as in 127.0.0.1:8125, or unix:path")
        parse_address(text)
        return text

    def show(self, value: str) -> str:
        return value


# Tag of DogStatsD, with or without a value.
_STATSD_TAG = MatchedText("TAG", r"[A-Za-z][\w./-]*(:[\w./:-]+)?", "a tag as in env:production")
ADMIN = "Monitoring"


@section
class AdminOptions:
    admin: str | None = option(
        None,
        Nullable(AdminAddress()),
        "Serve monitoring on ADDRESS: /livez, /readyz, /status, /metrics for Prometheus, and a dashboard at "
        "/. A port alone binds 127.0.0.1; host:port and unix:path are accepted too. There is no password. "
        "Needs the extra 'admin'.",
        ADMIN,
        reloadable=False,
        needs_master=True,
    )
    admin_allow_host: tuple[str, ...] = option(
        (),
        ListOf(HostName()),
        "Also answer requests to --admin for host NAME; .NAME means its subdomains, * any host. May be repeated. IP "
        "addresses, localhost, names without a dot and the host of --admin are always answered, other hosts with 421.",
        ADMIN,
        reloadable=False,
        needs_master=True,
    )
    admin_ready_workers: int = option(
        1,
        Integer(1, 512),
        "Number of workers that must be ready for /readyz to succeed; all of them if there are fewer.",
        ADMIN,
        reloadable=False,
        needs_master=True,
    )
    statsd: str | None = option(
        None,
        Nullable(StatsdAddress()),
        "Send counters and gauges to the StatsD server at ADDRESS each second, by UDP: host:port (8125 is usual) or "
        "unix:path.",
        ADMIN,
        reloadable=False,
        needs_master=True,
    )
    statsd_prefix: str = option(
        "corn",
        AnyText("PREFIX"),
        "First part of the names sent to --statsd.",
        ADMIN,
        reloadable=False,
        needs_master=True,
    )
    statsd_tags: tuple[str, ...] = option(
        (),
        ListOf(_STATSD_TAG),
        "Send TAG, as in env:production, with each metric, in the form of DogStatsD; status classes and reasons are "
        "tags then too. May be repeated.",
        ADMIN,
        reloadable=False,
        needs_master=True,
    )
