"""One input of a foreign suite, and what the suite expects of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """One input. `targets` are the requests that it holds, by target; `is_valid` says whether all are to be served.

    `allowed`, where the suite says it: the statuses of the first response, `2xx` for any success, and `close` or
    `timeout` if there may be none.
    """

    suite: str
    name: str
    data: bytes
    is_valid: bool
    targets: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()
