"""Import monitor: records the descriptors and threads that an import opens, and the module that did so first.

Classes of the standard library are wrapped during the import. Rejected: an audit hook, which cannot be removed, and
which Python 3.11 does not call for threads.
"""

from __future__ import annotations

import functools
import gc
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

from corn.worker.audit.collector_switch import CollectorSwitch
from corn.worker.audit.descriptors import Descriptor, Mapping, opened, shared_memory
from corn.worker.audit.fault_handler import FaultHandler
from corn.worker.audit.openers import Openers
from corn.worker.audit.random_generators import RandomGenerators
from corn.worker.audit.signal_handlers import SignalHandlers

_WATCHED: tuple[tuple[type, str, str], ...] = (
    (threading.Thread, "start", "thread"),
    (socket.socket, "connect", "connection"),
    (subprocess.Popen, "__init__", "program"),
)
_STDLIB = str(Path(os.__file__).parent)
_MAX_DEPTH = 6  # references between an object and the module that holds it
_MAX_HOLDERS = 2000


class ImportMonitor:
    """State of the process at `begin`, and the modules that change it until `end`."""

    def __init__(self) -> None:
        self.blamed: dict[str, str] = {}  # by kind: the module that called
        self.importing: dict[str, str] = {}  # by kind: the module whose import led to the call
        self.generators = RandomGenerators()
        self.openers = Openers()
        self.collector = CollectorSwitch()
        self.signals = SignalHandlers()
        self.faults = FaultHandler()
        self.threads: set[int | None] = {threading.main_thread().native_id}  # those before `begin`
        self._wrapped: list[tuple[type, str, Any, Any]] = []
        self._descriptors: dict[int, Descriptor] = {}
        self._mappings: set[Mapping] = set()

    def begin(self) -> None:
        self._descriptors, self._mappings = opened(), shared_memory()
        self.threads = {each.native_id for each in threading.enumerate()}
        for owner, name, kind in _WATCHED:
            before = vars(owner).get(name)
            wrapper = self._wrap(getattr(owner, name), kind)
            setattr(owner, name, wrapper)
            self._wrapped.append((owner, name, before, wrapper))
        self.openers.begin()
        self.generators.begin()
        self.collector.begin()
        self.signals.begin()
        self.faults.watch()

    def end(self) -> None:
        """Restore the wrapped functions, once, unless the application has replaced them meanwhile."""
        if not self._wrapped:
            return
        self.openers.end()
        wrapped, self._wrapped = self._wrapped, []
        for owner, name, before, wrapper in wrapped:
            if vars(owner).get(name) is not wrapper:
                continue
            if before is None:
                delattr(owner, name)
            else:
                setattr(owner, name, before)
        self.generators.end()
        self.collector.end()
        self.signals.end()

    def new_descriptors(self) -> list[Descriptor]:
        """Descriptors that were not open at `begin`."""
        before = {(each.fd, each.target, each.inode) for each in self._descriptors.values()}
        return [each for each in opened().values() if (each.fd, each.target, each.inode) not in before]

    def new_mappings(self) -> list[Mapping]:
        return sorted(shared_memory() - self._mappings, key=lambda each: each.path)

    def module_of(self, descriptor: Descriptor) -> str:
        """The module to blame for a descriptor: the one that holds its object, else those that may have opened it."""
        return _holder(descriptor) or self.openers.of(descriptor.fd)

    def _wrap(self, call: Callable[..., Any], kind: str) -> Callable[..., Any]:
        @functools.wraps(call)
        def recording(*args: Any, **kwargs: Any) -> Any:
            if kind not in self.blamed:
                self.blamed[kind], self.importing[kind] = _blame(sys._getframe(1)), _importing(sys._getframe(1))
            return call(*args, **kwargs)

        return recording


def _holder(descriptor: Descriptor) -> str:
    """The module that holds the object of this descriptor, directly or in objects of its own; or ""."""
    for each in gc.get_objects():
        if _fileno(each) == descriptor.fd or (descriptor.is_file and _is_database(each)):
            return holder_of(each)
    return ""


def holder_of(value: object) -> str:
    """The nearest module, by references, that holds `value`; not one of the standard library."""
    seen, level = {id(value)}, [value]
    for _ in range(_MAX_DEPTH):
        holders: list[object] = []
        for each in gc.get_referrers(*level):
            if id(each) in seen or each is level or isinstance(each, FrameType):
                continue
            seen.add(id(each))
            if isinstance(each, dict) and (name := _module_with(each)):
                return name
            if not isinstance(each, ModuleType):
                holders.append(each)
        if not holders or len(holders) > _MAX_HOLDERS:
            break
        level = holders
    return ""


def _module_with(namespace: dict[Any, Any]) -> str:
    name = namespace.get("__name__")
    module = sys.modules.get(name) if isinstance(name, str) else None
    if module is None or getattr(module, "__dict__", None) is not namespace:
        return ""
    file = str(namespace.get("__file__") or _STDLIB)
    return "" if file.startswith(_STDLIB) and "-packages" not in file else str(name)


def _fileno(value: object) -> int:
    """Descriptor of an object whose class is written in C; other classes would run code of the application."""
    kind = type(value)
    if kind.__module__ not in ("_io", "socket") or not hasattr(kind, "fileno"):
        return -1
    try:
        return int(value.fileno())  # type: ignore[attr-defined]
    except (OSError, ValueError):
        return -1


def _is_database(value: object) -> bool:
    """True for a connection of sqlite3, which does not expose its descriptor."""
    return type(value).__module__ == "sqlite3" and type(value).__qualname__ == "Connection"


def _importing(frame: FrameType | None) -> str:
    """The module of the nearest frame on the stack that is the code of a module; not one of the standard library."""
    while frame is not None:
        if frame.f_code.co_name == "<module>" and _blame(frame) == frame.f_globals.get("__name__"):
            return str(frame.f_globals.get("__name__"))
        frame = frame.f_back
    return ""


def _blame(frame: FrameType | None) -> str:
    """The nearest module on the stack that is neither of the standard library nor the import machinery."""
    while frame is not None:
        filename = frame.f_code.co_filename
        is_library = filename.startswith(_STDLIB) and "-packages" not in filename
        if not is_library and not filename.startswith("<frozen"):
            return str(frame.f_globals.get("__name__", filename))
        frame = frame.f_back
    return ""
