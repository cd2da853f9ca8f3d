"""Whether a process may be forked after the application was loaded into it, and if not, who is to blame.

A fork copies memory and descriptors, but only the thread that called it. So threads vanish (perhaps holding a lock),
an event loop's epoll set is shared with the parent, and two processes that share a connection read each other's
answers. `Watch` notes who starts threads and opens connections while the application is imported; `hazards` looks at
what is left when it has been.

Threads of libraries that prepare for fork are no hazard: OpenBLAS, which numpy loads, stops its own in a pthread_atfork
handler and starts them again on demand. A trial fork tells them from the others. (An audit hook was rejected for the
watch: it can never be removed, and Python 3.11 raises no event for a thread.)
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

_WATCHED: tuple[tuple[type, str, str], ...] = (
    (threading.Thread, "start", "thread"),
    (socket.socket, "connect", "connection"),
    (subprocess.Popen, "__init__", "program"),
)
_STDLIB = str(Path(os.__file__).parent)


@dataclass(frozen=True, slots=True)
class Hazard:
    """One reason not to fork. A `fatal` one breaks the workers; the others may be accepted by who knows better."""

    what: str
    module: str
    fatal: bool

    def __str__(self) -> str:
        return f"{self.module or 'an unknown module'} {self.what}"


class ImportMonitor:
    """Notes which module first started a thread, connected a socket or ran a program, from `begin` to `end`."""

    def __init__(self) -> None:
        self.blamed: dict[str, str] = {}
        self._wrapped: list[tuple[type, str, Any, Any]] = []

    def begin(self) -> None:
        for owner, name, kind in _WATCHED:
            before = vars(owner).get(name)
            wrapper = self._wrap(getattr(owner, name), kind)
            setattr(owner, name, wrapper)
            self._wrapped.append((owner, name, before, wrapper))

    def end(self) -> None:
        """Put back what was there, unless the application has put something over it meanwhile."""
        for owner, name, before, wrapper in self._wrapped:
            if vars(owner).get(name) is not wrapper:
                continue
            if before is None:
                delattr(owner, name)
            else:
                setattr(owner, name, before)

    def _wrap(self, call: Callable[..., Any], kind: str) -> Callable[..., Any]:
        @functools.wraps(call)
        def noted(*args: Any, **kwargs: Any) -> Any:
            self.blamed.setdefault(kind, _blame(sys._getframe(1)))
            return call(*args, **kwargs)

        return noted


def hazards(watch: ImportMonitor, own_sockets: set[int]) -> list[Hazard]:
    """What makes this process unsafe to fork; `own_sockets` are corn's own descriptors."""
    found = []
    if threads := _threads():
        found.append(Hazard(f"started a thread ({threads})", watch.blamed.get("thread", ""), fatal=False))
    found += [
        Hazard(f"opened a connection ({peer})", watch.blamed.get("connection", ""), fatal=True)
        for peer in _connections(own_sockets)
    ]
    if _has_event_loop():
        found.append(Hazard("made an event loop", _loop_owner(), fatal=True))
    if _has_children():
        found.append(Hazard("runs a program", watch.blamed.get("program", ""), fatal=True))
    return found


def traces() -> tuple[int, int]:
    """What changes where a process becomes unsafe to fork: the numbers of its threads and of its descriptors."""
    return _native_threads(), len(_descriptors())


def end_children() -> None:
    """End the programs that the application ran, before what loaded it is thrown away."""
    import psutil

    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait()


def _blame(frame: FrameType | None) -> str:
    """The nearest module on the stack that is neither of the standard library nor the import machinery."""
    while frame is not None:
        filename = frame.f_code.co_filename
        is_library = filename.startswith(_STDLIB) and "-packages" not in filename
        if not is_library and not filename.startswith("<frozen"):
            return str(frame.f_globals.get("__name__", filename))
        frame = frame.f_back
    return ""


def _threads() -> str:
    """The names of the threads that a fork would lose, or "" if there are none."""
    named = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
    if named:
        return ", ".join(named)
    native = _native_threads() - 1
    if native > 0:
        _trial_fork()
        native = _native_threads() - 1
    return f"{native} native" if native > 0 else ""


def _native_threads() -> int:
    tasks = Path("/proc/self/task")
    return len(list(tasks.iterdir())) if tasks.exists() else 1


def _trial_fork() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def _descriptors() -> list[int]:
    directory = "/proc/self/fd" if Path("/proc/self/fd").exists() else "/dev/fd"
    return [int(entry.name) for entry in Path(directory).iterdir()]


def _connections(own: set[int]) -> list[str]:
    """The peers of connected stream sockets; a datagram socket, such as syslog's, may be shared."""
    peers = []
    for fd in _descriptors():
        if fd in own or fd <= 2:
            continue
        try:
            if not stat.S_ISSOCK(os.fstat(fd).st_mode):
                continue
            sock = socket.socket(fileno=os.dup(fd))
        except OSError:
            continue
        with sock:
            try:
                peer = sock.getpeername()
            except OSError:
                continue
            if peer and sock.type == socket.SOCK_STREAM:
                peers.append(f"{peer[0]}:{peer[1]}" if isinstance(peer, tuple) else str(peer))
    return peers


def _has_event_loop() -> bool:
    for fd in _descriptors():
        try:
            target = Path(f"/proc/self/fd/{fd}").readlink()
        except OSError:
            continue
        if str(target) == "anon_inode:[eventpoll]":
            return True
    return False


def _loop_owner() -> str:
    for name, module in list(sys.modules.items()):
        values = list(getattr(module, "__dict__", {}).values())
        if not name.startswith(("asyncio", "uvloop")) and any(isinstance(v, asyncio.AbstractEventLoop) for v in values):
            return name
    return ""


def _has_children() -> bool:
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True
