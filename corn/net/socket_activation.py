"""Socket activation: listeners that a service manager has opened or stored for corn (LISTEN_FDS, sd_listen_fds(3)).

They are passed as descriptors from 3 on, with names in LISTEN_FDNAMES: that of the socket unit, or that under which
corn has stored a listener with the manager (FDSTORE=1 of sd_notify(3)), so that after a crash the next master continues
with the same accept queue. The name of a stored listener is a hash of its address.
"""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import MutableMapping
from dataclasses import dataclass, field

from corn.config import Config
from corn.config.addresses import parse_address
from corn.logs import logger
from corn.net.listeners import PASSED, addresses, requested_address

_FIRST = 3
_STORED = "corn-listener-"
_UNNAMED = "unknown"  # name of an unnamed socket in sd_listen_fds(3)


def stored_name(requested: str) -> str:
    """Name of a listener in the manager's store; `requested` is the address that it was opened for."""
    return _STORED + hashlib.sha256(requested.encode()).hexdigest()[:16]


@dataclass(slots=True)
class PassedSockets:
    """Passed `sockets`, each with its address; `outdated` are the names of stored sockets that are not used."""

    sockets: list[tuple[str, socket.socket]] = field(default_factory=list)
    outdated: set[str] = field(default_factory=set)


def passed_sockets(environ: MutableMapping[str, str], config: Config) -> PassedSockets:
    """Take over the sockets that were passed to this process.

    The variables are removed from the environment, so that no child process uses the descriptors.
    """
    pid, count = environ.pop("LISTEN_PID", ""), environ.pop("LISTEN_FDS", "")
    names = environ.pop("LISTEN_FDNAMES", "").split(":")
    environ.pop("LISTEN_PIDFDID", None)
    passed = PassedSockets()
    if not count.isdigit():
        return passed
    if pid != str(os.getpid()):
        logger.warning("LISTEN_FDS is for process %s, not for this one; start corn without a shell, or with exec", pid)
        return passed
    wanted = {stored_name(requested): requested for requested in _opened_by_corn(config)}
    for index in range(int(count)):
        name = names[index] if index < len(names) and names[index] else _UNNAMED
        try:
            sock = _socket_of(_FIRST + index)
        except OSError as error:
            logger.warning("LISTEN_FDS=%s: %d is not a socket: %s", count, _FIRST + index, error.strerror)
            break
        if name.startswith(_STORED) and name not in wanted:
            passed.outdated.add(name)
            sock.close()
        else:
            passed.sockets.append((wanted.get(name, PASSED + name), sock))
    return passed


def _opened_by_corn(config: Config) -> list[str]:
    return [requested_address(each) for each in (*addresses(config), *map(parse_address, config.redirect_bind))]


def _socket_of(fd: int) -> socket.socket:
    os.set_inheritable(fd, False)
    sock = socket.socket(fileno=fd)
    sock.setblocking(False)
    return sock
