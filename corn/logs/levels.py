"""Levels by part: `info,access=warning` is info in general, and for the access log from warning on.

The parts are `master`, `template`, `worker` (corn's own lines, by process), `access` (a request is of level error if it
was answered by 5xx, warning if by 4xx, else info) and `app` (what the application logs). Where `info` is the level of
all parts, the application's is `warning`, as the logging module has it: libraries are as quiet as under other servers.
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
