"""Whether a file is sent at all, and which part of it (RFC 9110, 13 and 14). Pure.

A request for several ranges is answered with the whole, as 14.2 allows: clients that ask so are rare, and a multipart
answer is what attacks ask for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

_TAG = re.compile(r'(?:W/)?"[^"]*"')
_RANGE = re.compile(r"bytes[ \t]*=[ \t]*(?:([0-9]{1,19})-([0-9]{1,19})?|-([0-9]{1,19}))[ \t]*", re.IGNORECASE)


def precondition(headers: Mapping[str, str], etag: str, modified: int) -> int:
    """200, 304 or 412: what the conditions of a GET or HEAD come to, in the order of 13.2.2; times in seconds."""
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
    """Where the part begins and how long it is; None for the whole. Raises ValueError where there is no such part."""
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
    """If-Range: whether the client's part is of the same file (13.1.5)."""
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
    """Seconds since the epoch; None for what is no date, which is then ignored."""
    if value is None:
        return None
    try:
        found = parsedate_to_datetime(value)
        return int(found.timestamp()) if found.tzinfo is not None else None
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
