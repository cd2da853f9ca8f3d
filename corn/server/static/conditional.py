"""Conditional requests and range requests for a file (RFC 9110, 13 and 14).

A request for several ranges gets the whole file, as 14.2 allows: such clients are rare, and multipart responses are a
means of attack.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timezone

_TAG = re.compile(r'(?:W/)?"[^"]*"')
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_MONTH = f"(?P<month>{'|'.join(_MONTHS)})"
_TIME = "(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
_DATES = (  # IMF-fixdate, RFC 850, asctime
    re.compile(rf"[A-Z][a-z]{{2}}, (?P<day>[0-9]{{2}}) {_MONTH} (?P<year>[0-9]{{4}}) {_TIME} GMT"),
    re.compile(rf"[A-Z][a-z]{{5,8}}, (?P<day>[0-9]{{2}})-{_MONTH}-(?P<year>[0-9]{{2}}) {_TIME} GMT"),
    re.compile(rf"[A-Z][a-z]{{2}} {_MONTH} (?P<day>[ 0-9][0-9]) {_TIME} (?P<year>[0-9]{{4}})"),
)
_RANGE = re.compile(r"bytes[ \t]*=[ \t]*(?:([0-9]{1,19})-([0-9]{1,19})?|-([0-9]{1,19}))[ \t]*", re.IGNORECASE)


def precondition(headers: Mapping[str, str], etag: str, modified: int) -> int:
    """Status of a GET or HEAD after its conditions, in the order of 13.2.2: 200, 304 or 412. Times are in seconds."""
    if "if-match" in headers:
        if not _matches(headers["if-match"], etag, weakly=False):
            return 412
    elif (since := _date(headers.get("if-unmodified-since"))) is not None and modified > since:
        return 412
    if "if-none-match" in headers:
        return 304 if _matches(headers["if-none-match"], etag, weakly=True) else 200
    since = _date(headers.get("if-modified-since"))
    return 304 if since is not None and modified <= since else 200


def chosen_range(headers: Mapping[str, str], etag: str, modified: int, size: int) -> tuple[int, int] | None:
    """Offset and length of the requested range; None for the whole file. Raises ValueError for one outside the file."""
    match = _RANGE.fullmatch(headers.get("range", ""))
    if match is None or not _holds(headers.get("if-range"), etag, modified):
        return None
    first, last, tail = match.groups()
    if tail is not None:
        start, end = max(size - int(tail), 0), size
        if int(tail) == 0:
            raise ValueError(tail)
    else:
        start, end = int(first), size if last is None else min(int(last) + 1, size)
        if last is not None and int(last) < start:
            return None  # invalid, so it is ignored
    if start >= size:
        raise ValueError(start)
    return start, end - start


def _holds(validator: str | None, etag: str, modified: int) -> bool:
    """Evaluate If-Range: True if the client has a part of the same file (13.1.5)."""
    if validator is None:
        return True
    if _TAG.fullmatch(validator.strip()):
        return validator.strip() == etag
    return _date(validator) == modified


def _matches(value: str, etag: str, *, weakly: bool) -> bool:
    if value.strip() == "*":
        return True
    tags: list[str] = _TAG.findall(value)
    if weakly:
        tags = [tag.removeprefix("W/") for tag in tags]
    return etag in tags


def _date(value: str | None) -> int | None:
    """Seconds since the epoch of an HTTP-date in any of its three forms (5.6.7); None for any other text."""
    match = next(filter(None, (form.fullmatch(value or "") for form in _DATES)), None)
    if match is None:
        return None
    day, month, year, hour, minute, second = match.group("day", "month", "year", "hour", "minute", "second")
    at = (_year(year), _MONTHS.index(month) + 1, int(day), int(hour), int(minute), min(int(second), 59))  # 60: leap
    try:
        return int(datetime(*at, tzinfo=timezone.utc).timestamp())
    except ValueError:
        return None


def _year(text: str) -> int:
    """The year; two digits name the last such year that is not more than 50 years ahead (5.6.7)."""
    if len(text) == 4:
        return int(text)
    latest = datetime.now(timezone.utc).year + 50
    return latest - (latest - int(text)) % 100
