"""HTTP/2, where its extra is installed and `--http` allows it."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from corn.config import Config
from corn.errors import ConfigError

if TYPE_CHECKING:
    from corn.server.http2.connection import HTTP2Connection

_MODULE = "corn.server.http2.connection"


def http2_connection(config: Config) -> type[HTTP2Connection] | None:
    """Factory of HTTP/2 connections; None if HTTP/2 is not served.

    Raises ConfigError if HTTP/2 is configured and its extra is not installed.
    """
    if config.http == "1":
        return None
    try:
        found: type[HTTP2Connection] = importlib.import_module(_MODULE).HTTP2Connection
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "hpack":
            raise
        if config.http == "2":
            raise ConfigError("--http 2 needs hpack, the extra 'http2': pip install hpack") from None
        return None
    return found
