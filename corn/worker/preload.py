"""Preload modes: the modules that a template loads before it forks.

app     the application and all it imports: workers share the memory and start in milliseconds
deps    only what lives in the standard library and in site-packages; each worker imports the application's own modules
none    only corn's worker code

The modules of `deps` are recorded during an import of the application: the library modules, in the order of their first
import. The template records them if it has tried mode app; otherwise a scout does, a forked process that imports the
application and exits. Modules that were imported after the application had changed the environment or the module path
are left out, because these changes may have configured them.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from corn.config import Config
from corn.errors import ApplicationError, ConfigError, CornError
from corn.system.paths import is_library_file
from corn.worker.audit.fork_safety import end_children, end_resource_tracker
from corn.worker.event_loop import new_event_loop
from corn.worker.forking import exit_handlers
from corn.worker.importer import load_application

_EXIT_HANDLERS_TIMEOUT = 1.5  # seconds

LOWER = {"app": "deps", "deps": "none"}


def load(mode: str, config: Config, modules: Sequence[str]) -> Any:
    """Load the modules of a mode; returns the application in mode app, else None."""
    if mode == "app":
        return load_application(config)
    if mode == "deps":
        for _ in load_each(modules or scout(config)):
            pass  # a module that cannot be imported by itself is left to the application
    return None


def load_each(names: Sequence[str]) -> Iterator[str]:
    """Import modules one by one, and yield each name; a module that cannot be imported by itself is skipped."""
    for name in names:
        with contextlib.suppress(BaseException):
            importlib.import_module(name)
        yield name


class Recorder:
    """Import recorder: a finder that finds nothing, but records names while the environment is unchanged."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._environment = dict(_environment())
        self._path = list(sys.path)
        self._changed = False

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        del path, target
        if not self._changed:
            self._changed = _environment() != self._environment or sys.path[-len(self._path) :] != self._path
        if not self._changed:
            self.names.append(name)

    def library_modules(self) -> list[str]:
        """The recorded modules that were imported, and come from the standard library or from site-packages."""
        return [name for name in self.names if is_library_module(name)]


def discard() -> None:
    """Undo known side effects of a discarded import outside of this process."""
    end_children()
    exit_handlers.run(_EXIT_HANDLERS_TIMEOUT)
    end_resource_tracker()
    directory = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    if directory:  # prometheus_client sums up the files of all processes, past ones too
        for file in Path(directory).glob(f"*_{os.getpid()}.db"):
            with contextlib.suppress(OSError):
                file.unlink()


def scout(config: Config) -> list[str]:
    """Import the application in a forked process and return the library modules it imports, in order.

    Raises what `load_application` raises.
    """
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        _scout(config, writer)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        answer = pipe.read()
    _, status = os.waitpid(pid, 0)
    if not answer:
        raise ApplicationError(f"{config.app} ended its process while being imported (wait status {status})")
    names, error = json.loads(answer)
    if error is not None:
        kind, message, detail = error
        raise ConfigError(message) if kind == "ConfigError" else ApplicationError(message, detail)
    return [str(name) for name in names]


def _scout(config: Config, writer: int) -> None:
    recorder = Recorder()
    sys.meta_path.insert(0, recorder)
    error = None
    try:
        new_event_loop(config.loop)  # as in a worker: module code may ask for the current one
        load_application(config)
    except CornError as failure:
        error = [type(failure).__name__, str(failure), failure.detail]
    with os.fdopen(writer, "wb") as pipe:
        pipe.write(json.dumps([recorder.library_modules(), error]).encode())
    discard()
    os._exit(0)


def _environment() -> Any:
    """The environment without a copy: it is compared at each import."""
    return os.environ._data  # type: ignore[attr-defined]


def is_library_module(name: str) -> bool:
    """True if an imported module comes from the standard library or from site-packages."""
    spec = getattr(sys.modules.get(name), "__spec__", None)
    origin = getattr(spec, "origin", None)
    if name in {"__main__", "sitecustomize"} or origin is None:
        return False
    return origin in ("built-in", "frozen") or is_library_file(origin)
