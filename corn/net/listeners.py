"""Listening sockets: their addresses, how they are opened, and their names in messages.

The master opens all of them once, before it starts other processes; templates and workers inherit them. So a port in
use is detected first, and a connection that arrives while workers are replaced waits in the accept queue.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from corn.config import Config
from corn.config.addresses import InheritedAddress, NamedAddress, TcpAddress, UnixAddress, parse_address
from corn.errors import BindError
from corn.system.ownership import check_socket_in, opened_directory
from corn.system.process import is_master_name

if TYPE_CHECKING:
    import psutil

Address = TcpAddress | UnixAddress | InheritedAddress | NamedAddress

HandedOver = Sequence[tuple[str, socket.socket]]
"""Open sockets, each with the address that it was opened for."""


PASSED = "passed by name: "
FOR_ADMIN = "admin: "


@dataclass(slots=True)
class Listener:
    """Open listening socket. `path` is the Unix socket's file, which is removed at the end if it is still ours.

    `requested` is the address it was opened for, as in the configuration. While it is `borrowed`, another master
    listens on the same socket, and may outlive this one. `scheme` is that of its URL; one that `redirects` only
    redirects to HTTPS.
    """

    sock: socket.socket
    path: str = ""
    requested: str = ""
    borrowed: bool = False
    scheme: str = "http"
    redirects: bool = False
    _inode: int = field(default=0, repr=False)

    def __post_init__(self) -> None:
        if self.path:
            self._inode = Path(self.path).lstat().st_ino

    @property
    def passed(self) -> bool:
        """True if another process has opened it, and may still have it open."""
        return self.requested.startswith((PASSED, InheritedAddress.__name__))

    @property
    def address(self) -> str:
        """Address as a URL, or as unix:path."""
        if self.sock.family == socket.AF_UNIX:
            return f"unix:{_display_name(self.sock.getsockname())}"
        host, port = self.sock.getsockname()[:2]
        return f"{self.scheme}://[{host}]:{port}" if ":" in host else f"{self.scheme}://{host}:{port}"

    def close(self, *, keep_file: bool = False) -> None:
        """Stop listening, and remove the file of a Unix socket unless another process has replaced it."""
        if self.path and not keep_file and not self.borrowed:
            with contextlib.suppress(OSError):
                if Path(self.path).lstat().st_ino == self._inode:
                    Path(self.path).unlink()
        self.sock.close()


def open_listeners(config: Config, handed_over: HandedOver = ()) -> list[Listener]:
    """Open all listeners of the configuration, or none.

    Sockets that were `handed_over` are used for the addresses they were opened for, or closed. Sockets that a service
    manager has passed by name are used too, if the configuration sets no address. Raises BindError for an address that
    cannot be opened.
    """
    opened: list[Listener] = []
    try:
        for address in addresses(config, handed_over):
            opened += _take_over(address, handed_over) or _open(address, config)
        for listener in opened:
            listener.scheme = "https" if config.ssl_certfile else "http"
        for address in map(parse_address, config.redirect_bind):
            redirecting = _take_over(address, handed_over) or _open(address, config)
            opened += redirecting
            for listener in redirecting:
                listener.redirects = True
        for requested, sock in handed_over:
            if not requested.startswith(FOR_ADMIN) and all(sock is not listener.sock for listener in opened):
                sock.close()
    except BaseException:
        for listener in opened:
            listener.close()
        raise
    return opened


def open_admin(config: Config, handed_over: HandedOver = ()) -> list[Listener]:
    """Open the listener of option admin, or take it over; raises BindError if that fails."""
    passed = [
        (requested.removeprefix(FOR_ADMIN), sock) for requested, sock in handed_over if requested.startswith(FOR_ADMIN)
    ]
    opened: list[Listener] = []
    if config.admin is not None:
        address = parse_address(config.admin)
        try:
            opened = _take_over(address, passed) or _open(address, config)
        except BindError as error:
            message = str(error).replace("--port", "--admin").replace("--host", "--admin")
            raise BindError(f"--admin: {message}") from error
    for listener in opened:
        listener.requested = f"{FOR_ADMIN}{requested_address(address)}"
    for _, sock in passed:
        if all(sock is not listener.sock for listener in opened):
            sock.close()
    return opened


def addresses(config: Config, handed_over: HandedOver = ()) -> tuple[Address, ...]:
    """Addresses to listen on; the configuration has one of the options that set them, or none."""
    if config.bind:
        return tuple(parse_address(each) for each in config.bind)
    if config.uds is not None:
        return (UnixAddress(config.uds),)
    if config.fd is not None:
        return (InheritedAddress(config.fd),)
    passed = dict.fromkeys(requested for requested, _ in handed_over if requested.startswith(PASSED))
    if passed and (config.host, config.port) == (Config.host, Config.port):
        return tuple(NamedAddress(requested.removeprefix(PASSED)) for requested in passed)
    return (TcpAddress(config.host, config.port),)


def _take_over(address: Address, handed_over: HandedOver) -> list[Listener]:
    found = [(requested, sock) for requested, sock in handed_over if requested == requested_address(address)]
    if isinstance(address, NamedAddress):
        if not found:
            raise BindError(_not_passed(address.name, handed_over))
        for _, sock in found:
            _check(sock, f"fd://{address.name}")
    path = _absolute(address.path) if isinstance(address, UnixAddress) and not address.is_abstract else ""
    if path and not _is_socket(path):
        return []  # no client can reach it any longer
    return [Listener(sock, path, requested, borrowed=True) for requested, sock in found]


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)  # noqa: PTH116
    except OSError:
        return False


def requested_address(address: Address) -> str:
    """Name of an address that one master passes to the next."""
    return f"{PASSED}{address.name}" if isinstance(address, NamedAddress) else str(address)


def _not_passed(name: str, handed_over: HandedOver) -> str:
    names = dict.fromkeys(
        requested.removeprefix(PASSED) for requested, _ in handed_over if requested.startswith(PASSED)
    )
    passed = f"it passed {', '.join(f'fd://{each}' for each in names)}" if names else "it passed none"
    return f"the service manager passed no socket fd://{name}; {passed}"


def _open(address: Address, config: Config) -> list[Listener]:
    if isinstance(address, UnixAddress):
        opened = [_open_abstract(address, config.backlog) if address.is_abstract else _open_unix(address.path, config)]
    elif isinstance(address, InheritedAddress):
        opened = [_adopt(address.fd, config.backlog)]
    elif isinstance(address, NamedAddress):
        raise BindError(_not_passed(address.name, ()))
    else:
        opened = _open_tcp(address, config.backlog, both_families=not _is_shared(address, config))
    for listener in opened:
        listener.requested = requested_address(address)
    return opened


def _absolute(path: str) -> str:
    """Absolute path of the file, because the working directory may change before the file is removed."""
    return str(Path(path).absolute())


def _is_shared(address: TcpAddress, config: Config) -> bool:
    """True if the configuration has another address with this port, which may be an IPv4 address."""
    named = (parse_address(each) for each in (*config.bind, *config.redirect_bind, *filter(None, [config.admin])))
    return any(isinstance(each, TcpAddress) and each != address and each.port == address.port != 0 for each in named)


def _open_tcp(address: TcpAddress, backlog: int, *, both_families: bool) -> list[Listener]:
    """Open one listener for each address of the host name, all on one port.

    `both_families`: the unspecified IPv6 address accepts IPv4 too.
    """
    host, port = address.host, address.port
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise BindError(f"cannot listen on {host}:{port}: the host name cannot be resolved; check --host") from error
    listeners: list[Listener] = []
    for family, _, _, _, found_address in dict.fromkeys(found):
        chosen = listeners[0].sock.getsockname()[1] if listeners else port
        try:
            sock = _listen_tcp(family, (found_address[0], chosen, *found_address[2:]), backlog, both_families)
        except OSError as error:
            if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT) and len(found) > 1:
                continue
            for listener in listeners:
                listener.close()
            raise BindError(_bind_error(host, chosen, error)) from error
        listeners.append(Listener(sock))
    if not listeners:
        raise BindError(f"cannot listen on {host}:{port}: this machine has no such address")
    return listeners


def _listen_tcp(family: int, address: tuple[object, ...], backlog: int, both_families: bool) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # Independent of the system's default, only the unspecified address accepts IPv4 too.
            takes_both = address[0] == "::" and both_families
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if takes_both else 1)
        sock.bind(address)
        sock.listen(backlog)
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock


def _bind_error(host: str, port: int, error: OSError) -> str:
    where = f"{host}:{port}"
    if error.errno == errno.EADDRINUSE:
        return f"{where} is already in use{_holder(port)}; stop that, or choose another with --port"
    if error.errno == errno.EACCES:
        return f"no permission to listen on {where}; choose a port from 1024 on with --port"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"cannot listen on {where}: this machine has no such address; check --host"
    return f"cannot listen on {where}: {error.strerror or error}"


def _holder(port: int) -> str:
    """Description of the process that listens on the port, as far as this user can see it."""
    import psutil

    with contextlib.suppress(psutil.Error, OSError):
        for each in psutil.net_connections(kind="tcp"):
            if each.pid and _listens(each, port):
                first = _first_holder(psutil.Process(each.pid), port)
                name = first.name()
                stop = f" (stop it with 'corn stop --pid {first.pid}')" if is_master_name(name) else ""
                return f" by {name}, pid {first.pid}{stop}"
    return ""


def _first_holder(holder: psutil.Process, port: int) -> psutil.Process:
    """The first ancestor that shares the socket: psutil names any of the processes, and corn's master is meant."""
    import psutil

    with contextlib.suppress(psutil.Error):
        for parent in holder.parents():
            if not any(_listens(each, port) for each in parent.net_connections(kind="tcp")):
                break
            holder = parent
    return holder


def _listens(connection: Any, port: int) -> bool:
    return bool(connection.status == "LISTEN" and connection.laddr.port == port)


def _open_abstract(address: UnixAddress, backlog: int) -> Listener:
    """Open a Unix socket without a file, which exists until its last descriptor is closed."""
    if sys.platform != "linux":
        raise BindError(f"unix:{address.path}: only Linux has abstract sockets; name a path, as in ./{address.path}")
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind("\0" + address.path[1:])
        sock.listen(backlog)
        sock.setblocking(False)
    except (OSError, UnicodeError) as error:
        sock.close()
        in_use = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
        why = "it is already in use; stop that, or choose another name" if in_use else str(error)
        raise BindError(f"cannot listen on unix:{address.path}: {why}") from error
    return Listener(sock)


def _display_name(name: str | bytes) -> str:
    """Name of a Unix socket in the form of an address."""
    if isinstance(name, bytes):
        return "@" + name.removeprefix(b"\0").decode("utf-8", "backslashreplace")
    return name


def _open_unix(path: str, config: Config) -> Listener:
    path = _absolute(path)
    directory, name = os.path.split(path)
    try:
        with opened_directory(directory) as at:
            _clear_stale(path)
            return _bind_unix(path, config, lambda: check_socket_in(at, name))
    except OSError as error:
        raise BindError(f"cannot listen on unix:{path}: {error.strerror or error}") from error


def _bind_unix(path: str, config: Config, check: Callable[[], None]) -> Listener:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # The umask sets the mode of the file in bind(2). A later chmod would follow a link that the owner of the directory
    # puts in its place.
    umask = os.umask(0o777 & ~config.uds_mode)
    try:
        sock.bind(path)
        check()
        sock.listen(config.backlog)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    finally:
        os.umask(umask)
    return Listener(sock, path)


def _clear_stale(path: str) -> None:
    """Remove a stale socket file; refuse one in use, and any file that is not a socket."""
    try:
        mode = Path(path).stat().st_mode
    except OSError:
        return
    if not stat.S_ISSOCK(mode):
        raise BindError(f"{path} exists and is not a socket; remove it, or choose another path")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            Path(path).unlink(missing_ok=True)
        except OSError as error:
            raise BindError(f"unix:{path} may be in use ({error.strerror or error}); choose another path") from error
        else:
            raise BindError(f"unix:{path} is already in use by a running server; stop that, or choose another path")


def _adopt(number: int, backlog: int) -> Listener:
    """Take over a listening socket inherited from the parent process."""
    try:
        sock = socket.socket(fileno=os.dup(number))
    except OSError as error:
        raise BindError(f"file descriptor {number} is not an open socket; pass one that is") from error
    try:
        _check(sock, f"file descriptor {number}")
        sock.listen(backlog)
    except OSError as error:
        sock.close()
        raise BindError(f"file descriptor {number} cannot listen: {error.strerror or error}") from error
    except BindError:
        sock.close()
        raise
    sock.setblocking(False)
    return Listener(sock)


def _check(sock: socket.socket, name: str) -> None:
    """Raise BindError if connections cannot be accepted from a socket that another process has opened."""
    if sock.type != socket.SOCK_STREAM or sock.family not in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX):
        raise BindError(f"{name} is not a stream socket of TCP or Unix")
