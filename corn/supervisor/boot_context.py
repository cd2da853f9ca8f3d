"""Boot context: results of the start-up steps that precede serving, and the sockets that they open."""

from __future__ import annotations

from corn.frozen import frozen
from corn.net.listeners import Listener
from corn.net.socket_activation import PassedSockets
from corn.supervisor.configuration.reload import Origins
from corn.supervisor.control.socket_file import ControlSocket
from corn.supervisor.process.daemon import Launch
from corn.supervisor.process.pidfile import Pidfile
from corn.supervisor.process.privileges import ProcessUser
from corn.supervisor.upgrade import Predecessor
from corn.tls.credentials import Credentials


@frozen
class BootContext:
    """Results of start-up: the user to become, the pidfile, and the initial TLS credentials with a warning about them.

    `predecessor` is the master that this one replaces, `launch` reports the result of the start, and `passed` are the
    sockets from a service manager. `origins` has the sources of the current configuration's values. `development` is
    True for `corn dev`.
    """

    predecessor: Predecessor
    identity: ProcessUser | None
    pidfile: Pidfile
    launch: Launch
    config_file: str
    credentials: tuple[Credentials, str] | None
    passed: PassedSockets
    origins: Origins
    development: bool = False


@frozen
class OpenSockets:
    """Sockets of a master: its listeners, those of the admin address, and the control socket; None without one."""

    listeners: list[Listener]
    admin: list[Listener]
    control: ControlSocket | None
