"""HTTP/2, where its extra is installed and `--http` allows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from corn.config import Config
from corn.packages import MissingPackage, import_package

if TYPE_CHECKING:
    from corn.server.http2.connection import HTTP2Connection


def http2_connection(config: Config) -> type[HTTP2Connection] | None:
    """Factory of HTTP/2 connections; None if HTTP/2 is not served.

    Raises ConfigError if HTTP/2 is configured and its extra is not installed, or if hpack cannot be imported.
    """
    if config.http == "1":
        return None
    try:
        import_package("hpack", f"--http {config.http}", extra="http2", instead="--http 1")
    except MissingPackage:
        if config.http == "2":
            raise
        return None
    from corn.server.http2.connection import HTTP2Connection

    return HTTP2Connection
