"""The element that makes a page listen for reloads, and the address it listens at. Pure.

The address is that of the watcher's process, `http://127.0.0.1:PORT/TOKEN`. Where the page cannot reach it, it asks at
`/__corn__/TOKEN` of the application's own address instead (docs/explanation/decisions, 9).
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PREFIX = "/__corn__/"


@dataclass(frozen=True, slots=True)
class Script:
    """The script of one worker's pages.

    `url` is where to listen, `root` what the application is mounted at, `revision` counts the versions of the code, and
    `failed` says that this one cannot be served. `repeatable`: the page may be asked for again without harm.
    """

    url: str
    root: str
    revision: int
    failed: bool
    repeatable: bool

    @property
    def source(self) -> str:
        about = {
            "listens": self.url,
            "asks": f"{self.root}{path_of(self.url)}",
            "revision": self.revision,
            "failed": self.failed,
            "repeatable": self.repeatable,
        }
        return _template().replace("__CORN__", json.dumps(about).replace("<", "\\u003c"), 1)

    @property
    def hash(self) -> str:
        """The source expression that allows it (Content Security Policy 3, 2.3.1)."""
        digest = hashlib.sha256(self.source.encode()).digest()
        return f"'sha256-{base64.b64encode(digest).decode()}'"

    def element(self, nonce: str = "") -> bytes:
        """The element for the page."""
        attribute = f' nonce="{nonce}"' if nonce else ""
        return f"<script{attribute}>{self.source}</script>".encode()


def origin_of(url: str) -> str:
    """Scheme, host and port of the address, for a policy that names what may be connected to."""
    return "/".join(url.split("/")[:3])


def path_of(url: str) -> str:
    """Where the application's own address answers the same question."""
    return PREFIX + url.rpartition("/")[2]


@cache
def _template() -> str:
    return Path(__file__).with_name("live_reload.js").read_text("utf-8")
