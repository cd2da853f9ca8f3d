"""Boot context: what is settled before a master begins to serve."""

from __future__ import annotations

from dataclasses import dataclass

from corn.net.socket_activation import Passed
from corn.supervisor.configuration.reload import Origins
from corn.supervisor.process.daemon import Launch
from corn.supervisor.process.pidfile import Pidfile
from corn.supervisor.process.privileges import ProcessUser
from corn.supervisor.upgrade import Predecessor
from corn.tls.credentials import Credentials


@dataclass(frozen=True, slots=True)
class BootContext:
    """The `predecessor`, the user to become, the pidfile, the `launch` as a daemon, and what the master was `passed`.

    `credentials` are those to begin with, and a warning about them. `origins` has the sources of the configuration's
    values, after each reload too. `development`: it is a master of `corn dev`.
    """

    predecessor: Predecessor
    identity: ProcessUser | None
    pidfile: Pidfile
    launch: Launch
    config_file: str
    credentials: tuple[Credentials, str] | None
    passed: Passed
    origins: Origins
    development: bool = False
