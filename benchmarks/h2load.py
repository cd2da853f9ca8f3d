"""h2load: command line, and parser of its output and log."""

from __future__ import annotations

import re
from collections.abc import Iterable

from benchmarks.wrk import Load, UnreadableError

MISSING = "h2load is not installed: on Debian and Ubuntu, apt-get install nghttp2-client"
CONNECTIONS, STREAMS = 8, 16
RATED_CONNECTIONS = 32

_FINISHED = re.compile(
    r"^requests: \d+ total, \d+ started, (\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout",
    re.MULTILINE,
)


def command(url: str, *, seconds: int, log: str) -> list[str]:
    """Command line of a run that logs each request to a file."""
    return ["h2load", "-t1", f"-c{CONNECTIONS}", f"-m{STREAMS}", f"-D{seconds}", f"--log-file={log}", url]


def command_at_rate(url: str, *, rate: int, seconds: int, log: str) -> list[str]:
    """Command line of a run over HTTP/1.1 at a fixed rate of requests per second."""
    each = max(1, round(rate / RATED_CONNECTIONS))
    load = [f"-c{RATED_CONNECTIONS}", f"--rps={each}", f"-D{seconds}"]
    return ["h2load", "--h1", "-t1", *load, f"--log-file={log}", url]


def percentile(logged: Iterable[str], share: float) -> float:
    """Percentile of the logged latencies, in milliseconds."""
    took = sorted(int(line.split()[2]) for line in logged)
    return took[min(int(len(took) * share), len(took) - 1)] / 1000 if took else 0.0


def parse(printed: str, logged: Iterable[str], *, seconds: int, protocol: str = "h2") -> Load:
    """Parse the output of a run; raises UnreadableError if it has no results."""
    found = _FINISHED.search(printed)
    if found is None or f"Application protocol: {protocol}" not in printed:
        raise UnreadableError(f"h2load printed: {printed.strip()[-500:] or 'nothing'}")
    done, succeeded, *bad = map(int, found.groups())
    errors = dict(zip(("failed", "errored", "timeout"), bad, strict=True)) | {"status": done - succeeded - bad[0]}
    took = sorted(int(line.split()[2]) for line in logged)
    p99 = took[int(len(took) * 0.99)] / 1e6 if took else 0.0
    return Load(succeeded, float(seconds), p99, {kind: count for kind, count in errors.items() if count > 0})
