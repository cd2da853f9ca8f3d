"""Certificate renewal without a master: the serving process reads, checks and replaces the certificates itself."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator

from corn.config import Config
from corn.errors import ConfigError
from corn.logs import logger
from corn.server.tls.certificate_check import NotValidNowError, check_credentials
from corn.server.tls.context import ContextHook, TLSContexts
from corn.tls.credentials import FileStamps, read_credentials

_CHECK_INTERVAL = 0.5  # seconds between two checks of the files


def open_tls(config: Config, hook: ContextHook | None) -> TLSContexts | None:
    """TLS contexts of the configuration, made by `hook` if there is one; None without TLS.

    Raises ConfigError where the files cannot be used, or the hook fails.
    """
    if not config.ssl_certfile:
        return None
    credentials = read_credentials(config)
    try:
        check_credentials(config, credentials, time.time())
    except NotValidNowError as error:
        logger.warning("%s; clients will refuse it until it is renewed", error)
    return TLSContexts(config, credentials, hook=hook)


@contextlib.contextmanager
def auto_renewal(tls: TLSContexts | None, config: Config) -> Iterator[None]:
    """Within the block, reload the files whenever they change. To be used in a running event loop."""
    renewing = None if tls is None else asyncio.get_running_loop().create_task(_keep_renewed(tls, config))
    try:
        yield
    finally:
        if renewing is not None:
            renewing.cancel()


async def _keep_renewed(tls: TLSContexts, config: Config) -> None:
    stamps, refusal = FileStamps(config), ""
    while True:
        await asyncio.sleep(_CHECK_INTERVAL)
        if stamps.have_changed():
            refusal = _renew(tls, config)
        elif refusal:  # only at the second check: certificate and key are two files
            logger.error("certificate renewal failed, keeping the current certificates: %s", refusal)
            refusal = ""


def _renew(tls: TLSContexts, config: Config) -> str:
    """Load the files; returns the reason if they cannot be used, else ""."""
    try:
        credentials = read_credentials(config)
        if credentials != tls.credentials:
            until = check_credentials(config, credentials, time.time())
            tls.renew(credentials)
            logger.info("certificates renewed: %s", until)
    except ConfigError as error:
        return str(error)
    return ""
