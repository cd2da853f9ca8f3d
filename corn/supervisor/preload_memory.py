"""Cache of preload modes that worked: the initial mode of `--preload auto`, per application and interpreter.

A template that finds itself unsafe to fork restarts with fewer modules, which takes another boot of the application. So
that this does not happen at each start and reload, the master remembers the mode: in memory for reloads, and in a cache
directory for later starts. An entry becomes stale when the file of a blamed module changes: code that was fixed, or a
library that was upgraded, is tried again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import sys
from dataclasses import asdict, field
from pathlib import Path
from typing import Any

from corn.config import Config
from corn.frozen import frozen
from corn.ipc.messages import SteppedDown
from corn.system.paths import module_file
from corn.version import __version__

_LOWER_MODES = ("deps", "none")
_MAX_FILE = 1 << 20


@frozen
class PreloadMode:
    """Mode that worked. `modules` are those of mode deps; `blamed` has the stamp of each module that ruled out more."""

    mode: str
    modules: list[str] = field(default_factory=list)
    blamed: dict[str, list[Any] | None] = field(default_factory=dict)

    def holds(self, config: Config) -> bool:
        """True if the blamed modules are unchanged."""
        return all(_stamp(name, config) == stamp for name, stamp in self.blamed.items())


class PreloadMemory:
    """Cache of one master; `directory` is on disk, None for none."""

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory
        self._known: dict[str, PreloadMode] = {}

    def recall(self, config: Config) -> PreloadMode | None:
        """The mode that worked for a configuration, None if there is none, or it is stale."""
        name = _name(config)
        found = self._known.get(name) or self._read(name)
        return found if found is not None and found.holds(config) else None

    def note(self, config: Config, message: SteppedDown) -> None:
        """Remember the mode that a template steps down to; a failure to write the cache is ignored."""
        if message.mode not in _LOWER_MODES:
            return
        name, before = _name(config), self.recall(config)
        blamed = {each: _stamp(each, config) for each in message.blamed}
        mode = PreloadMode(message.mode, message.modules, {**(before.blamed if before else {}), **blamed})
        self._known[name] = mode
        if self._directory is not None:
            with contextlib.suppress(OSError):
                _write(self._directory, name, json.dumps(asdict(mode)).encode())

    def _read(self, name: str) -> PreloadMode | None:
        if self._directory is None:
            return None
        try:
            return _parse(_read(self._directory / name))
        except (OSError, ValueError, RecursionError):
            return None


def cache_directory() -> Path | None:
    """Cache directory of this user: systemd's CacheDirectory=, the XDG directory, or ~/.cache; None for none."""
    for base in (os.environ.get("CACHE_DIRECTORY", "").partition(":")[0], os.environ.get("XDG_CACHE_HOME", "")):
        if Path(base).is_absolute():
            return Path(base) / "corn"
    home = Path(os.environ.get("HOME", ""))
    return home / ".cache" / "corn" if home.is_absolute() else None


def _name(config: Config) -> str:
    """File name for an application in an environment: it differs by interpreter, version of corn, and options."""
    where = os.path.realpath(config.app_dir)
    options = (config.app, config.factory, config.loop, config.interface, config.env_file, config.log_config)
    key = repr((__version__, sys.version, sys.prefix, where, *options))
    return f"preload-{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"


def _stamp(module: str, config: Config) -> list[Any] | None:
    """Stamp that changes with a module's file; None if the module has no file that can be found."""
    path = module_file(module, [config.app_dir])
    if path is None:
        return None
    try:
        found = os.stat(path)  # noqa: PTH116
    except OSError:
        return None
    return [path, found.st_mtime_ns, found.st_size]


def _read(path: Path) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(fd, "rb") as file:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
            raise PermissionError("not a file of this user alone")
        return file.read(_MAX_FILE)


def _write(directory: Path, name: str, data: bytes) -> None:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = directory / f".{name}.{os.getpid()}"
    with contextlib.suppress(FileNotFoundError):
        fresh.unlink()
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(data)
    fresh.rename(directory / name)


def _parse(data: bytes) -> PreloadMode:
    """The mode in a file; raises ValueError if the content is not that of `_write`."""
    values = json.loads(data)
    if not isinstance(values, dict) or set(values) != {"mode", "modules", "blamed"}:
        raise ValueError("not a preload mode")
    mode, modules, blamed = values["mode"], values["modules"], values["blamed"]
    if mode not in _LOWER_MODES or not isinstance(modules, list) or not isinstance(blamed, dict):
        raise ValueError("not a preload mode")
    if not all(isinstance(each, str) for each in modules):
        raise ValueError("not a preload mode")
    return PreloadMode(mode, modules, blamed)
