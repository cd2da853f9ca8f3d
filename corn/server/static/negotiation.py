"""Metadata of a static file: media type, content codings and Cache-Control. Pure."""

from __future__ import annotations

import fnmatch
import mimetypes
import re
from collections.abc import Sequence

CODINGS = {"br": ".br", "zstd": ".zst", "gzip": ".gz"}  # in order of preference, with the suffix of their files

_YEAR = 31536000
_HASH = re.compile(r"[.-](?=[0-9a-f]*[0-9])(?=[0-9a-f]*[a-f])[0-9a-f]{8,64}\.")
_QUALITY = re.compile(r"q[ \t]*=[ \t]*([01](?:\.[0-9]{0,3})?)", re.IGNORECASE)
# Independent of the system's tables, and of what older versions of Python know.
_TYPES = {
    ".avif": "image/avif",
    ".ico": "image/x-icon",
    ".js": "text/javascript",
    ".json": "application/json",
    ".map": "application/json",
    ".md": "text/markdown",
    ".mjs": "text/javascript",
    ".otf": "font/otf",
    ".ttf": "font/ttf",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
    ".xml": "application/xml",
}
_known = mimetypes.MimeTypes()
for _suffix, _type in _TYPES.items():
    _known.add_type(_type, _suffix)


def content_type(name: str) -> str:
    """Media type by the name's suffix."""
    found, coding = _known.guess_type("file" + name[name.rfind("/") + 1 :])
    if coding == "gzip":
        return "application/gzip"
    if found is None or coding is not None:
        return "application/octet-stream"
    return f"{found}; charset=utf-8" if found.startswith("text/") else found


def accepted_codings(header: str) -> list[str]:
    """Content codings that a client prefers to none, in order of preference (RFC 9110, 12.5.3)."""
    qualities: dict[str, float] = {}
    for part in header.lower().split(","):
        name, _, parameters = part.partition(";")
        match = _QUALITY.fullmatch(parameters.strip())
        qualities[name.strip()] = float(match[1]) if match else 1.0
    other = qualities.get("*", 0.0)
    identity = qualities.get("identity", 0.0)
    found = [(qualities.get(name, other), name) for name in CODINGS]
    wanted = [(quality, name) for quality, name in found if quality > 0 and quality >= identity]
    return [name for _, name in sorted(wanted, key=lambda each: -each[0])]


def cache_control(path: str, max_age: float, immutable: Sequence[str]) -> str:
    """Cache-Control of a file; one whose content is named by its path never changes (RFC 8246)."""
    name = path[path.rfind("/") + 1 :]
    if _HASH.search(name) or any(fnmatch.fnmatchcase(path, pattern) for pattern in immutable):
        return f"public, max-age={_YEAR}, immutable"
    return f"public, max-age={int(max_age)}" if max_age else "no-cache"
