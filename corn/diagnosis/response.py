"""Failure as a response, in the form that the client accepts (RFC 9110, 12.5.1). Pure.

A browser names text/html in Accept and gets the page; a client that accepts JSON gets JSON; all others, `*/*` of curl
included, get the text as in the terminal.
"""

from __future__ import annotations

import json

from corn.diagnosis import text as terminal
from corn.diagnosis.failure import Failure

HTML, JSON, TEXT = "text/html", "application/json", "text/plain"


def answer(failure: Failure, accept: str, directory: str = "") -> tuple[bytes, bytes]:
    """Content-Type and body that show `failure` to a client with this Accept field; the status is 500.

    Files below `directory` are named relative to it.
    """
    chosen = choose(accept)
    if chosen == HTML:
        from corn.diagnosis.html import page

        return b"text/html; charset=utf-8", page(failure, directory).encode("utf-8", "replace")
    if chosen == JSON:
        return b"application/json", json.dumps({"error": failure.title, **failure.to_json()}).encode()
    text = terminal.text(failure, color=False, directory=directory)
    return b"text/plain; charset=utf-8", f"{text}\n".encode("utf-8", "replace")


def choose(accept: str) -> str:
    """HTML or JSON if the client names and prefers it, else TEXT."""
    best, weight = TEXT, _weight(accept, TEXT)
    for kind in (HTML, JSON):
        if (found := _weight(accept, kind)) > weight:
            best, weight = kind, found
    return best


def _weight(accept: str, kind: str) -> float:
    """Weight of a type in `accept`; 0 if it is not named or cannot be parsed."""
    for part in accept.split(","):
        name, *parameters = (each.strip().lower() for each in part.split(";"))
        if name in _NAMES[kind]:
            return _quality(parameters)
    return 0.0


_NAMES = {HTML: (HTML, "application/xhtml+xml"), JSON: (JSON, "application/problem+json"), TEXT: (TEXT, "text/*")}


def _quality(parameters: list[str]) -> float:
    for each in parameters:
        if each.startswith("q="):
            try:
                return float(each[2:])
            except ValueError:
                return 0.0
    return 1.0
