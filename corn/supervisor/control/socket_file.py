"""Control socket file: its creation, hand-over to a successor, and removal.

The file appears by rename(2) after listen(2), so a refused connection always means that the master has exited. The next
master that starts in the directory removes stale files. If a running master uses the same name, the process id is
appended to it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from corn.errors import ConfigError, cause_of
from corn.ipc.control_paths import AUTO, OFF, SUFFIX, homes, make_home, socket_name
from corn.logs import logger
from corn.system.ownership import check_socket_in, chown_socket, opened_directory, remove_in

_BACKLOG = 64
_WITHOUT = "no control socket: commands cannot reach this instance"
_MAX_PATH = 103  # unix(4) of macOS; 107 on Linux, unix(7)


@dataclass(slots=True)
class ControlSocket:
    """Open control socket. `requested` is the configuration it was made for, which a successor compares with its own.

    While it is `borrowed`, another master listens on it too, and may outlive this one.
    """

    sock: socket.socket
    path: Path
    requested: str
    borrowed: bool = False
    _closed: bool = False

    def note(self) -> dict[str, object]:
        """Fields that a successor needs besides the descriptor."""
        return {"fd": self.sock.fileno(), "path": str(self.path), "asked": self.requested}

    def close(self, *, keep_file: bool = False) -> None:
        """Close the socket. The file stays if another master listens on it."""
        if self._closed:
            return
        self._closed = True
        self.sock.close()
        if not keep_file and not self.borrowed:
            with contextlib.suppress(OSError):
                self.path.unlink()


def taken_over(note: Mapping[str, object] | None) -> ControlSocket | None:
    """The control socket that the predecessor handed over."""
    if note is None:
        return None
    fd = int(str(note["fd"]))
    os.set_inheritable(fd, False)
    return ControlSocket(socket.socket(fileno=fd), Path(str(note["path"])), str(note["asked"]), borrowed=True)


def plan_control_socket(
    control: str, address: str, uid: int, inherited: ControlSocket | None
) -> Callable[[], ControlSocket | None]:
    """Carry out the steps that need the present privileges; the result makes the socket as user `uid`; None for `off`.

    Raises ConfigError if a configured path cannot be used. If a default path cannot be used, corn logs a warning and
    serves without a control socket.
    """
    requested = f"{control} {address}"
    if inherited is not None and inherited.requested == requested:
        return lambda: inherited
    if inherited is not None:
        inherited.close()
    if control == OFF:
        return lambda: None
    if control == AUTO:
        home = _home(uid)
        return lambda: _in_home_directory(home, address, requested, uid)
    path = Path(control).absolute()
    try:
        named = _named(path / socket_name(address), requested, uid) if path.is_dir() else _made(path, requested, uid)
    except OSError as error:
        raise ConfigError(f"--control: {path} cannot be made: {cause_of(error)}") from None
    return lambda: named


def _home(uid: int) -> Path | None:
    """First directory that can be made for a user, or already belongs to that user."""
    refusals = []
    for home in homes(os.environ, uid, os.geteuid()):
        try:
            make_home(home, uid)
        except OSError as error:  # noqa: PERF203 - there are two of them
            refusals.append(f"{home}: {error.strerror or error}")
        else:
            return home
    logger.warning("%s: %s", _WITHOUT, "; ".join(refusals))
    return None


def _in_home_directory(home: Path | None, address: str, requested: str, uid: int) -> ControlSocket | None:
    try:
        return None if home is None else _named(home / socket_name(address), requested, uid)
    except OSError as error:
        logger.warning("%s: %s: %s", _WITHOUT, home, error.strerror or error)
        return None


def _named(path: Path, requested: str, uid: int) -> ControlSocket:
    """As `_made`, in a shared directory: removes stale sockets, and avoids the name of a running instance."""
    with _locked(path.parent) as is_locked:
        for other in path.parent.glob("*" + SUFFIX) if is_locked else ():
            if _is_dead(other):
                other.unlink(missing_ok=True)
        if path.exists() and not _is_dead(path):
            path = path.with_name(f"{path.name.removesuffix(SUFFIX)}.{os.getpid()}{SUFFIX}")
        return _made(path, requested, uid)


def _made(path: Path, requested: str, uid: int) -> ControlSocket:
    if len(os.fsencode(path)) > _MAX_PATH:
        raise OSError(errno.ENAMETOOLONG, f"the path of a socket has at most {_MAX_PATH} bytes")
    if path.exists() and not path.is_socket():
        raise FileExistsError("it exists but is not a socket")
    if path.exists() and not _is_dead(path):
        raise FileExistsError("another instance uses it")
    with opened_directory(path.parent) as directory:
        return ControlSocket(_bound(path, directory, uid), path, requested)


def _bound(path: Path, directory: int, uid: int) -> socket.socket:
    """Socket that listens at a path, whose directory is open."""
    fresh = path.with_name(f".{os.getpid()}")
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    umask = os.umask(0o177)
    try:
        remove_in(directory, fresh.name)
        sock.bind(str(fresh))
        check_socket_in(directory, fresh.name)
        if os.geteuid() != uid:
            chown_socket(fresh, uid, -1)
        sock.listen(_BACKLOG)
        sock.setblocking(False)
        os.rename(fresh.name, path.name, src_dir_fd=directory, dst_dir_fd=directory)
    except OSError:
        sock.close()
        remove_in(directory, fresh.name)
        raise
    finally:
        os.umask(umask)
    return sock


def _is_dead(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
    return False


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[bool]:
    """Yields True if this process has locked the directory; never waits for another holder."""
    fd = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(fd)
