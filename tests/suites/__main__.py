"""`python -m tests.suites DIR`: send the requests of foreign suites to a server, and compare the outcome."""

from __future__ import annotations

import argparse
import re
import socket
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tests.suites.case import Case
from tests.suites.django_live import run_django
from tests.suites.files import cases_in
from tests.suites.http2 import Http2Results, run_h2spec
from tests.suites.report import write_page
from tests.support.corn_process import Served

APP = """
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while (message := await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    while (message := await receive()).get("more_body"):
        pass
    if message["type"] == "http.request":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
        await send({"type": "http.response.body", "body": b"hello"})
"""
_PATIENCE = 0.6  # seconds without a byte after which no more answer is expected


@dataclass(frozen=True)
class Result:
    """The statuses that a case got, and the reason of a refusal, "" for none."""

    case: Case
    statuses: tuple[int, ...]
    reason: str

    @property
    def is_refused(self) -> bool:
        return any(status >= 400 for status in self.statuses)

    @property
    def agrees(self) -> bool:
        """True if the server did what the suite expects; an incomplete request that waits for more is not refused."""
        if allowed := self.case.allowed:
            first = str(self.statuses[0]) if self.statuses else "close"
            return (
                first in allowed
                or (first[0] == "2" and "2xx" in allowed)
                or (first == "close" and "timeout" in allowed)
            )
        if self.case.is_valid:
            return not self.is_refused
        return self.is_refused or not self.statuses


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.suites", description=__doc__)
    parser.add_argument(
        "directory", type=Path, metavar="DIR", help="holds checkouts named gunicorn, llhttp and Http11Probe"
    )
    parser.add_argument("--h2spec", type=Path, metavar="PROGRAM", help="the program of that name, to be run too")
    parser.add_argument("--publish", action="store_true", help="write docs/explanation/suites.md")
    chosen = parser.parse_args()
    cases = list(cases_in(chosen.directory))
    if not cases:
        sys.exit(f"{chosen.directory} holds no checkout of gunicorn, llhttp or Http11Probe")
    results, http2 = run(cases, chosen.h2spec)
    for each in results:
        if not each.agrees:
            print(f"{each.case.suite} {each.case.name}: {each.statuses} {each.reason}")
    print(f"{len(results)} requests, {sum(each.agrees for each in results)} as the suite expects")
    if http2 is not None:
        print(f"h2spec: {http2.cases} cases, failed: {', '.join(http2.failed) or 'none'}")
    suite = chosen.directory / "django" / "tests"
    django = run_django(suite) if suite.is_dir() else None
    if django is not None:
        print(f"Django: {django.tests} tests, failed: {', '.join(django.failed) or 'none'}")
    if chosen.publish:
        write_page(results, http2, django)


def run(cases: list[Case], h2spec: Path | None) -> tuple[list[Result], Http2Results | None]:
    """Send each case to one server, and run h2spec against it, if there is one."""
    with tempfile.TemporaryDirectory() as directory:
        (Path(directory) / "main.py").write_text(APP)
        with Served(
            Path(directory), "main:app", "--port", "0", "--workers", "1", "--no-access-log"
        ).wait_ready() as served:
            http2 = None if h2spec is None else run_h2spec(h2spec, served.address)
            return [_send(case, served.address) for case in cases], http2


def _send(case: Case, address: str) -> Result:
    where = urlsplit(address)
    received = b""
    with socket.create_connection((where.hostname, where.port), 20) as sock:
        sock.sendall(case.data)
        sock.settimeout(_PATIENCE)
        try:
            while data := sock.recv(65536):
                received += data
        except OSError:
            pass  # it waits for more, or has reset a connection that had too much
    statuses = tuple(int(each) for each in re.findall(rb"HTTP/1\.1 (\d{3}) ", received) if each != b"100")
    reason = received.rpartition(b"\r\n\r\n")[2].decode("latin-1").strip().partition(": ")[2]
    return Result(case, statuses, reason if statuses and statuses[-1] >= 400 else "")


if __name__ == "__main__":
    main()
