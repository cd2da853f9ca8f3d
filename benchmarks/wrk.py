"""wrk: command line, and parser of its output."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

MISSING = "wrk is not installed: on Debian and Ubuntu, apt-get install wrk"

_REQUESTS = re.compile(r"^\s*(\d+) requests in ([\d.]+)(us|ms|s|m|h),", re.MULTILINE)
_P99 = re.compile(r"^\s*99%\s+([\d.]+)(us|ms|s|m|h)\s*$", re.MULTILINE)
_STATUS = re.compile(r"Non-2xx or 3xx responses: (\d+)")
_SOCKETS = re.compile(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)")
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


class UnreadableError(ValueError):
    """The output of wrk has an unexpected form."""


@dataclass(frozen=True)
class Load:
    """Results of one run of wrk; times in seconds, errors counted by kind."""

    requests: int
    seconds: float
    p99: float
    errors: dict[str, int] = field(default_factory=dict)


def command(url: str, *, connections: int, seconds: int, headers: Mapping[str, str], script: str = "") -> list[str]:
    """Command line of a run; `script` is a file name, or empty."""
    line = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency"]
    for name, value in headers.items():
        line += ["-H", f"{name}: {value}"]
    return [*line, *(["-s", script] if script else []), url]


def script(method: str, body: bytes) -> str:
    """Lua script for settings without an option of wrk. It runs once, and computes nothing per request."""
    text = "".join(f"\\{byte:03d}" if byte in b'\\"' or byte < 32 or byte > 126 else chr(byte) for byte in body)
    return f'wrk.method = "{method}"\nwrk.body = "{text}"\n'


# Fields of a browser behind a proxy that are the same in each request; four more differ.
SAME_FIELDS = {
    "Host": "shop.example.com",
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36",
    "Accept-Language": "en-GB,en;q=0.7,de;q=0.3",
    "Accept-Encoding": "gzip, deflate, br",
    "Cache-Control": "max-age=0",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Site": "same-origin",
    "Sec-Fetch-Dest": "document",
    "Upgrade-Insecure-Requests": "1",
    "Sec-CH-UA-Platform": "Linux",
    "X-Forwarded-Proto": "https",
}
_SAME = ", ".join(f'["{name}"] = "{value}"' for name, value in SAME_FIELDS.items())

VARYING = (
    f"local count, fields = 0, {{ {_SAME} }}"
    """
request = function()
  count = count + 1
  fields["X-Forwarded-For"] = string.format("203.0.%d.%d", count % 250, count * 7 % 250)
  fields["X-Request-ID"] = string.format("%08x-%d", count * 40503 % 2147483647, count)
  fields["Referer"] = "https://shop.example.com/items/" .. count
  fields["Cookie"] = string.format("session=%032x; theme=dark; seen=%d", count * 48271 % 2147483647, count)
  return wrk.format("GET", string.format("/items/%d?q=corn&limit=5", count % 1000), fields)
end
"""
)  # requests of browsers behind a proxy, each of another client


def parse(printed: str) -> Load:
    """Parse the output of a run; raises UnreadableError if it has no results."""
    total, p99 = _REQUESTS.search(printed), _P99.search(printed)
    if total is None or p99 is None:
        raise UnreadableError(f"wrk printed: {printed.strip()[-500:] or 'nothing'}")
    return Load(int(total[1]), _seconds(total[2], total[3]), _seconds(p99[1], p99[2]), _errors(printed))


def _seconds(number: str, unit: str) -> float:
    return float(number) * _SECONDS[unit]


def _errors(printed: str) -> dict[str, int]:
    errors = {}
    if sockets := _SOCKETS.search(printed):
        errors = dict(zip(("connect", "read", "write", "timeout"), map(int, sockets.groups()), strict=True))
    if status := _STATUS.search(printed):
        errors["status"] = int(status[1])
    return {kind: count for kind, count in errors.items() if count}
