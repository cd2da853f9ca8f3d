"""Generator of docs/explanation/suites.md: the counts, and the reason of each deviation."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.suites.__main__ import Result
    from tests.suites.django_live import DjangoResults
    from tests.suites.http2 import Http2Results

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "suites.md"

_REFUSALS = {
    "no Host header": "RFC 9112, 3.2: a request of HTTP/1.1 without Host must be answered with 400",
    "invalid Transfer-Encoding": "RFC 9112, 6.1 and 7: a repeated field is a smuggling risk, and `identity` is gone",
    "transfer coding not implemented": "RFC 9112, 6.1: 501 for an unsupported coding; corn decodes `chunked`",
    "invalid byte in the request target": "RFC 3986, 2: bytes outside of ASCII must be percent-encoded",
    "invalid authority in the request target": "RFC 9110, 4.2.4: a target with user information is treated as an error",
    "method not implemented": "RFC 9110, 9.1: 501 for an unknown method; CONNECT (9.3.6) is for proxies",
    "invalid request target": "RFC 9112, 3.2.4: the target `*` is for OPTIONS only",
    "invalid HTTP version": "a protocol other than HTTP (ICE, RTSP)",
    "invalid request line": "HTTP/0.9, which has no version",
}
_SERVED = {
    "invalid/006": "within corn's limit of a head, 64 KiB (`--limit-header-size`)",
    "invalid/007": "within corn's limit of a head, 64 KiB",
    "invalid/008": "within corn's limit of a head, 64 KiB",
    "invalid/041": "a repeated Content-Type is passed on, because the application is its recipient (RFC 9110, 5.3)",
    "invalid/rfc9110_trailer_forbidden": "trailers are read and discarded (RFC 9110, 6.5.1), so they have no effect",
    "COMP-HOST-EMPTY-VALUE": "RFC 9112, 3.2: a client sends an empty Host if its target has no authority",
    "COMP-UNKNOWN-METHOD": "RFC 9110, 9.1: the application decides on methods, and responded with 200",
    "connection: No restart when keep-alive is off (1.0)": "served; the connection is closed before the next request",
    "connection: Upgrade POST request": "an unsupported upgrade is ignored (RFC 9110, 7.8), and the body is read",
    "invalid: HTTP protocol and ANNOUNCE method": "the application receives any method that is an upper-case token",
}


_KEPT = "Django's own server ignores `Connection: close` of a client; corn closes (RFC 9112, 9.6)"
_DJANGO = {
    "test_closes_connection_without_content_length": "corn sends it in chunks, and keeps the connection",
    "test_keep_alive_on_connection_with_content_length": _KEPT,
    "test_keep_alive_connection_clears_previous_request_data": _KEPT,
}
_HTTP2 = {
    "http2/3.5: Sends invalid connection preface": "corn sends 400 in HTTP/1.1 and closes the connection, because the"
    " same port serves both; the suite reads that response as a frame",
}


def write_page(results: Sequence[Result], http2: Http2Results | None, django: DjangoResults | None) -> None:
    """Write the page; raises KeyError for a deviation without a reason."""
    PAGE.write_text("\n".join(_lines(results, http2, django)) + "\n")


def _lines(results: Sequence[Result], http2: Http2Results | None, django: DjangoResults | None) -> list[str]:
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for each in results:
        counts[each.case.suite]["all"] += 1
        counts[each.case.suite]["agrees" if each.agrees else "refused" if each.is_refused else "served"] += 1
    lines = [
        "# Test suites of other projects",
        "",
        "The results of running the test suites of other projects against corn. They are not part of this repository:",
        "`make suites DIR=...` reads them from a directory that contains checkouts named `gunicorn`, `llhttp` and",
        "`Http11Probe`, and `SUITES=--publish` writes this page. It skips files that set options of their server,",
        "or a lenient mode, and cases of Http11Probe that send several requests or check more than the status.",
        "",
        "| suite | requests | as the suite expects | refused by corn only | served by corn only |",
        "|---|---|---|---|---|",
    ]
    for suite, count in sorted(counts.items()):
        lines.append(f"| {suite} | {count['all']} | {count['agrees']} | {count['refused']} | {count['served']} |")
    if http2 is not None:
        passed = http2.cases - len(http2.failed)
        where = "[h2spec](https://github.com/summerwind/h2spec)"
        lines += [
            "",
            f"{where}: {passed} of {http2.cases} cases pass, including the strict ones (`SUITES='--h2spec PROGRAM'`).",
        ]
        lines += ["", *(f"- *{each}* fails: {_HTTP2[each]}." for each in http2.failed)]
    if django is not None:
        passed = django.tests - len(django.failed)
        lines += ["", f"Django's tests of live servers (`django`), with corn in the place of its server: {passed} of"]
        lines += [
            f"{django.tests} pass.",
            "",
            *(f"- *{each.removeprefix('test_').replace('_', ' ')}* fails: {_DJANGO[each]}." for each in django.failed),
        ]
    lines += ["", "## Refused by corn only", "", "| requests | answer | reason |", "|---|---|---|"]
    refused = Counter((each.statuses[-1], each.reason) for each in results if not each.agrees and each.is_refused)
    for (status, reason), number in refused.most_common():
        lines.append(f"| {number} | {status}, {reason} | {_REFUSALS[reason]} |")
    lines += ["", "## Served by corn only", "", "| request | reason |", "|---|---|"]
    for each in results:
        if not each.agrees and not each.is_refused:
            why = next(text for name, text in _SERVED.items() if each.case.name.startswith(name))
            lines.append(f"| {each.case.suite}, {each.case.name} | {why} |")
    lines += [
        "",
        "`make autobahn` runs the Autobahn WebSocket suite; its results are in [WebSockets](websocket.md). The",
        "responses of other servers to corn's own request files are in [requests](requests.md).",
    ]
    return lines
