"""Pidfile: the master's process id in a file, from when it serves until it exits.

An existing file is checked first. It is stale, and is replaced, if its process has exited or is no corn master. If it
belongs to a running master, or contains no number, the start fails. The file is written atomically, by rename(2). With
--user that is impossible, because the directory, such as /run, often belongs to root, and corn has dropped its root
privileges by the time it serves. Then the file is created beforehand, empty and owned by the user, and filled by one
write(2). If it cannot be removed at the end, it is emptied.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

from corn.config import Config
from corn.errors import ConfigError, cause_of
from corn.logs import logger
from corn.supervisor.process.privileges import ProcessUser
from corn.system.ownership import opened_directory, remove_in
from corn.system.process import is_master_name


class Pidfile:
    """One pidfile; without a name every method does nothing.

    Raises ConfigError if it belongs to a running master other than `predecessor`, from which this one takes over.
    """

    def __init__(self, config: Config, *, predecessor: int | None) -> None:
        # The working directory may change before the file is removed.
        self._path = None if config.pid is None else Path(config.pid).absolute()
        self._reserved: int | None = None
        if self._path is not None:
            _check(self._path, {0, os.getpid(), predecessor})

    def reserve(self, identity: ProcessUser) -> None:
        """Create the file for the user who fills it later; raises ConfigError if that fails."""
        if self._path is None or identity.is_assumed:
            return
        try:
            with opened_directory(self._path.parent) as directory:
                remove_in(directory, self._path.name)
                self._reserved = _create(self._path.name, directory)
            os.fchown(self._reserved, identity.uid, identity.gid)
        except OSError as error:
            raise ConfigError(f"--pid: {self._path} cannot be made: {cause_of(error)}") from None

    def publish(self) -> None:
        """Write this process's id; a failure is only logged, because the service is running already."""
        if self._path is None:
            return
        try:
            self._write(self._path, f"{os.getpid()}\n".encode())
        except OSError as error:
            logger.error("cannot write the pidfile %s: %s", self._path, error.strerror)

    def remove(self) -> None:
        """Remove the file if it still belongs to this process, or was reserved by it and never filled."""
        if self._path is None:
            return
        reserved = self._reserved
        number = _number_in(self._path)
        if number == os.getpid() or (number == 0 and reserved is not None and _is_open_as(self._path, reserved)):
            with contextlib.suppress(OSError):
                _remove_or_empty(self._path)
        if reserved is not None:
            os.close(reserved)
            self._reserved = None

    def _write(self, path: Path, text: bytes) -> None:
        if self._reserved is not None:
            os.pwrite(self._reserved, text, 0)
            return
        if os.access(path.parent, os.W_OK | os.X_OK):
            fresh = f".{path.name}.{os.getpid()}"
            with opened_directory(path.parent) as directory:
                remove_in(directory, fresh)
                with os.fdopen(_create(fresh, directory), "wb") as file:
                    file.write(text)
                os.rename(fresh, path.name, src_dir_fd=directory, dst_dir_fd=directory)
            return
        # A predecessor created it before it dropped root privileges.
        fd = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.pwrite(fd, text, 0)
            os.ftruncate(fd, len(text))
        finally:
            os.close(fd)


def _create(name: str, directory: int) -> int:
    """A descriptor of a new file. O_EXCL follows no link that the directory's owner has put there (open(2))."""
    return os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644, dir_fd=directory)


def _check(path: Path, harmless: set[int | None]) -> None:
    """Raise ConfigError if the file cannot be used; `harmless` are the process ids that it may contain."""
    if not os.access(path.parent, os.W_OK | os.X_OK) and not os.access(path, os.W_OK):
        raise ConfigError(f"--pid: cannot write to {path.parent}; change its permissions, or choose another directory")
    if not path.exists():
        return
    number = _number_in(path)
    if number is None:
        raise ConfigError(f"--pid: {path} contains no process id; remove it, or choose another file")
    if number not in harmless and _is_master(number):
        raise ConfigError(
            f"--pid: corn is already running as process {number} ({path}); stop it, or choose another file"
        )


def _number_in(path: Path) -> int | None:
    """The number in the file, 0 for an empty one; None where there is none."""
    try:
        number = path.read_bytes().strip() or b"0"
    except OSError:
        return None
    return int(number) if number.isdigit() and len(number) < 12 else None


def _is_master(pid: int) -> bool:
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            return is_master_name(Path(f"/proc/{pid}/comm").read_text(errors="replace").rstrip("\n"))
        return False
    import psutil

    try:
        return any("corn" in word for word in psutil.Process(pid).cmdline())
    except psutil.Error:
        return False


def _is_open_as(path: Path, fd: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(fd))
    except OSError:
        return False


def _remove_or_empty(path: Path) -> None:
    with opened_directory(path.parent) as directory:
        try:
            os.unlink(path.name, dir_fd=directory)
        except PermissionError:
            os.truncate(path, 0)
