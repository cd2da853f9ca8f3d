"""Local time of log lines: of the time zone that corn was started in.

An application may set another one for its process (`os.environ["TZ"]` and `time.tzset`, as Django does by its setting
TIME_ZONE). The lines of its workers would then be hours away from those of the master, in the same log.
"""

from __future__ import annotations

import functools
import os
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import tzinfo


def _zone_of_process() -> tuple[object, ...]:
    return time.timezone, time.altzone, time.tzname


_ZONE_AT_START = _zone_of_process()
_NAME = os.environ.get("TZ")
_OFFSET = time.localtime().tm_gmtoff


def format_local(pattern: str, timestamp: float) -> str:
    """Format a time since the epoch, as time.strftime does."""
    if _zone_of_process() == _ZONE_AT_START:
        return time.strftime(pattern, time.localtime(timestamp))
    from datetime import datetime

    return datetime.fromtimestamp(timestamp, _zone_at_start()).strftime(pattern)


@functools.cache
def _zone_at_start() -> tzinfo:
    """The zone with its changes through the year where it is known, else the difference from UTC at the start."""
    from datetime import timedelta, timezone
    from zoneinfo import ZoneInfo

    try:
        if _NAME:
            return ZoneInfo(_NAME.lstrip(":"))
        with open("/etc/localtime", "rb") as file:  # noqa: PTH123 - tzset(3) reads this one
            return ZoneInfo.from_file(file)
    except (OSError, ValueError, KeyError):
        return timezone(timedelta(seconds=_OFFSET))
