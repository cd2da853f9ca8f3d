"""Check of credentials, by a handshake with each of them (see `inspection`).

`main` runs it in a process of its own for the master, which does not load the TLS modules.
"""

from __future__ import annotations

import time
from typing import NoReturn

from corn.config import Config
from corn.errors import ConfigError
from corn.ipc import helper_process
from corn.ipc.channel import Channel
from corn.ipc.messages import Examine, Examined
from corn.server.tls.context import make_context
from corn.server.tls.inspection import date_of, inspect_certificate
from corn.tls.credentials import Credentials


def check_credentials(config: Config, credentials: Credentials, now: float) -> str:
    """Expiry of the first of the certificates to expire, as text.

    Raises ConfigError if one of them cannot be used, or is not valid now.
    """
    ends = []
    for pair in credentials.pairs:
        info = inspect_certificate(pair, make_context(config, pair, credentials))
        if problem := info.problem(now):
            raise NotValidNowError(f"--ssl-certfile: '{pair.name}': {problem}")
        ends.append(info.not_after)
    return f"valid until {date_of(min(ends))}"


class NotValidNowError(ConfigError):
    """Raised for credentials that can be used, but whose certificate has expired or is not valid yet."""


def main(fd: int) -> NoReturn:
    """Receive the master's request on this descriptor, check the credentials, reply and exit; exit with the master."""
    helper_process.run(fd, _answer)


def _answer(channel: Channel) -> None:
    while not channel.closed:
        for message in channel.receive():
            if isinstance(message, Examine):
                channel.send(_examine(Config.from_json(message.config), Credentials.from_json(message.credentials)))
                return


def _examine(config: Config, credentials: Credentials) -> Examined:
    try:
        return Examined(usable=True, timely=True, text=check_credentials(config, credentials, time.time()))
    except NotValidNowError as error:
        return Examined(usable=True, timely=False, text=str(error))
    except ConfigError as error:
        return Examined(usable=False, timely=False, text=str(error))
