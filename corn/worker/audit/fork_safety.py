"""Fork-safety audit of a process that loaded the application, and the modules that make a fork unsafe.

A fork copies memory and descriptors, but only the calling thread. So other threads disappear (possibly while holding a
lock), the epoll set of an event loop is shared with the parent, processes that share a connection read each other's
responses, and processes that share a file share its position. A lock on a file is held by all workers at once, and
shared memory is common to all of them. A worker that imports the application itself has its own of each.

Threads of libraries that handle forks are no hazard: OpenBLAS, which numpy loads, stops its threads in a pthread_atfork
handler and restarts them on demand. A trial fork detects this.

Some files are safe to share: files that are appended to (O_APPEND, as by a log) or only written, because the common
position keeps workers from overwriting each other, and files that are only read through a mapping.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
import threading
from collections.abc import Iterator
from typing import Any

from corn.frozen import frozen
from corn.worker.audit.descriptors import Descriptor, numbers, shared_memory
from corn.worker.audit.import_monitor import ImportMonitor
from corn.worker.forking.fork import native_threads

_EXIT_TIMEOUT = 2.0  # seconds


@frozen
class Hazard:
    """Reason not to fork. A `fatal` one breaks the workers; the user can accept others by setting --preload.

    `module` is the one to blame, or "a or b" where it is one of these (`modules`). `importing` is the module whose
    import led to it, where that is known.
    """

    what: str
    module: str
    fatal: bool = True
    importing: str = ""

    @property
    def modules(self) -> list[str]:
        return [each for each in self.module.split(" or ") if each]

    def __str__(self) -> str:
        return f"{self.module or 'an unknown module'} {self.what}"


def hazards(monitor: ImportMonitor) -> list[Hazard]:
    """Resources of the application that make this process unsafe to fork."""
    found = []
    if threads := _threads(monitor.threads):
        monitor.blamed.setdefault("thread", monitor.openers.of_threads())
        found.append(_blamed(monitor, "thread", f"started a thread ({threads})", fatal=False))
    descriptors = monitor.new_descriptors()
    found += [
        _blamed(monitor, "connection", f"opened a connection ({peer})") for each in descriptors if (peer := _peer(each))
    ]
    loops = [each for each in descriptors if each.target == "anon_inode:[eventpoll]"]
    if loops:
        found.append(Hazard("made an event loop", _loop_owner() or monitor.openers.of(loops[0].fd)))
    else:
        found += _pipes(descriptors, monitor)
    if _has_children():
        found.append(_blamed(monitor, "program", "runs a program"))
    mapped = {each.inode for each in shared_memory()}
    files = {each.inode: each for each in reversed(descriptors)}  # sqlite and mmap open some more than once
    found += [each for one in reversed(files.values()) if (each := _file(one, mapped, monitor)) is not None]
    if not any(each.what.startswith("opened a file") for each in found):
        found += [Hazard(f"shares memory ({each.path})", "") for each in monitor.new_mappings() if each.writable]
    return found


def fingerprint() -> tuple[int, int]:
    """Fingerprint that changes when a process becomes unsafe to fork: the numbers of its threads and descriptors."""
    return native_threads(), len(numbers())


def _blamed(monitor: ImportMonitor, kind: str, what: str, *, fatal: bool = True) -> Hazard:
    return Hazard(what, monitor.blamed.get(kind, ""), fatal, monitor.importing.get(kind, ""))


def _file(descriptor: Descriptor, mapped: set[int], monitor: ImportMonitor) -> Hazard | None:
    if descriptor.locked:
        return Hazard(f"holds a lock ({descriptor.target})", monitor.module_of(descriptor))
    if not descriptor.is_file or descriptor.access == os.O_WRONLY:
        return None
    if descriptor.access == os.O_RDONLY and descriptor.position == 0 and descriptor.inode[1] in mapped:
        return None
    return Hazard(f"opened a file ({descriptor.target})", monitor.module_of(descriptor))


def _pipes(descriptors: list[Descriptor], monitor: ImportMonitor) -> Iterator[Hazard]:
    """Pipes, socket pairs and anonymous inodes: processes that share one receive each other's wake-ups."""
    for each in descriptors:
        if each.is_pipe:
            yield Hazard("opened a pipe", monitor.module_of(each))
            return
        if each.is_socket and _is_paired(each):
            yield Hazard("opened a socket pair", monitor.module_of(each))
            return
        if each.target.startswith("anon_inode:"):
            yield Hazard(f"opened a descriptor ({each.target.removeprefix('anon_inode:')})", monitor.module_of(each))
            return


def end_children() -> None:
    """Kill the programs that the application has started, before this process is discarded."""
    import psutil

    tracker, _ = _resource_tracker()
    children = [each for each in psutil.Process().children(recursive=True) if each.pid != tracker]
    for child in children:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()
    psutil.wait_procs(children, timeout=_EXIT_TIMEOUT)


def end_resource_tracker() -> None:
    """Have multiprocessing's resource tracker remove shared memory of the application, as at the exit of this process.

    It does so when its pipe is closed; were it killed, the names would stay in use.
    """
    import psutil

    tracker, fd = _resource_tracker()
    if not tracker:
        return
    os.close(fd)
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(tracker)
        try:
            process.wait(_EXIT_TIMEOUT)
        except psutil.TimeoutExpired:  # another process holds the pipe
            process.kill()
            process.wait(_EXIT_TIMEOUT)


def _resource_tracker() -> tuple[int, int]:
    """Process id of the tracker that this process has started, 0 for none, and the descriptor of its pipe."""
    module: Any = sys.modules.get("multiprocessing.resource_tracker")
    tracker = getattr(module, "_resource_tracker", None)
    pid, fd = getattr(tracker, "_pid", None), getattr(tracker, "_fd", None)
    return (0, -1) if pid is None or fd is None else (pid, fd)


def _threads(known: set[int | None]) -> str:
    """Names of the threads that a fork would lose, "" for none; those that are `known` have been checked already."""
    named = [each.name for each in threading.enumerate() if each.native_id not in known]
    if named:
        return ", ".join(named)
    native = native_threads() - len(known)
    if native > 0:
        _trial_fork()
        native = native_threads() - len(known)
    return f"{native} native" if native > 0 else ""


def _trial_fork() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def _peer(descriptor: Descriptor) -> str:
    """Peer of a connected stream socket, else ""; datagram sockets, such as syslog's, can be shared."""
    if not descriptor.is_socket:
        return ""
    try:
        sock = socket.socket(fileno=os.dup(descriptor.fd))
    except OSError:
        return ""
    with sock:
        try:
            peer = sock.getpeername()
        except OSError:
            return ""
        if sock.type != socket.SOCK_STREAM:
            return ""
        return f"{peer[0]}:{peer[1]}" if isinstance(peer, tuple) else str(peer)


def _is_paired(descriptor: Descriptor) -> bool:
    """True if it is one of a socketpair(2): connected, to a peer without a name."""
    with socket.socket(fileno=os.dup(descriptor.fd)) as sock:
        try:
            return sock.family == socket.AF_UNIX and not sock.getpeername()
        except OSError:
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
