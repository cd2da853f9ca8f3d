"""Log levels by part: `info,access=warning` is level info, and level warning for the access log.

The parts are `master`, `template`, `worker` (corn's own lines, by process), `access` (a request has level error for
5xx, warning for 4xx, else info) and `app` (lines of the application). With the plain level `info`, the level of `app`
is `warning`, as in the logging module, so that libraries log no more than under other servers.
"""

from __future__ import annotations

import logging

LEVELS = ("debug", "info", "warning", "error")
PARTS = ("master", "template", "worker", "access", "app")


def parse_levels(text: str) -> dict[str, str]:
    """Parse the level of each part that is named, and of "" for all others; raises ValueError for an invalid one."""
    found: dict[str, str] = {}
    for item in text.lower().split(","):
        part, equals, level = item.strip().rpartition("=")
        if level not in LEVELS or (equals and part not in PARTS) or part in found:
            expected = f"expected one of {', '.join(LEVELS)}, and perhaps levels of parts, as in info,access=warning"
            raise ValueError(f"{expected}; the parts are {', '.join(PARTS)}")
        found[part] = level
    return {"": "info", **found}


def level_of(text: str, part: str) -> int:
    """Level of a part, as a number of the logging module."""
    found = parse_levels(text)
    if part == "app" and part not in found and found[""] == "info":
        return logging.WARNING
    return int(logging.getLevelName(found.get(part, found[""]).upper()))
