"""Properties of a process: its ties to its parent, its name and title, its descriptors, and the signals it ignores.

Ties (prctl(2)) exist on Linux only; elsewhere each call returns False.

Title: the command line that ps(1), top(1) and htop(1) show. The kernel reads it from the memory of the process, between
two addresses in /proc/self/stat. corn overwrites that memory through /proc/self/mem, after checking that it contains
the command line as the kernel shows it, so that no other memory can be changed; if a sandbox returns something else,
the title is not changed. Only the length of the command line is used, because the environment follows it, which C
libraries keep reading (setproctitle moves it; that is impossible from Python). Templates are executed with a small
program on their command line, so there is enough room, and workers inherit it.

Descriptors: each connection needs one, and the initial soft limit (RLIMIT_NOFILE) is 1024 on nearly all systems, for
programs that call select(2). corn does not, so it raises the limit for itself and its child processes, but not beyond
`MAX_DESCRIPTORS`: with a hard limit of a billion, as in many containers, programs that close every possible descriptor
would take minutes. Programs that the application runs inherit the limit; decision 5 explains why it is not restored for
them.

Ignored signals: Ctrl-C, `pkill -HUP corn` and a service manager's SIGTERM reach the whole process group, but only the
master handles them.

Job control signals are blocked. A background process that writes to its terminal under `stty tostop`, or sets its
modes, receives SIGTTOU, and with a handler the interrupted call is restarted endlessly. While the signal is blocked,
the kernel permits the call, and a read fails with EIO (termios(3), tty_check_change in Linux).
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys
from collections.abc import Iterable
from pathlib import Path
from types import FrameType

from corn.logs import logger

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
_PR_SET_CHILD_SUBREAPER = 36


def become_subreaper() -> bool:
    """Become the parent of orphaned descendants (PR_SET_CHILD_SUBREAPER); False if that is not possible."""
    return _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def exit_with_parent(parent: int, number: int = signal.SIGKILL) -> None:
    """Receive a signal when the parent exits (PR_SET_PDEATHSIG); fork clears this, so the child sets it.

    Exit now if the process with id `parent` is not the parent: it has exited before this call, and no signal comes.
    """
    _prctl(_PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:
        os._exit(0)


def outlive_parent() -> None:
    """Undo `exit_with_parent`."""
    _prctl(_PR_SET_PDEATHSIG, 0)


def name_process(name: str) -> bool:
    """Set the command name that top(1) and ps(1) show (PR_SET_NAME); the kernel keeps 15 bytes."""
    return _prctl(_PR_SET_NAME, name.encode())


def _prctl(option: int, value: int | bytes) -> bool:
    if sys.platform != "linux":
        return False
    import ctypes

    return int(ctypes.CDLL(None).prctl(option, value, 0, 0, 0)) == 0


_COMM = 15  # bytes of a command name that the kernel keeps (proc_pid_comm(5))


def identify(name: str, role: str, details: str = "") -> None:
    """Set the command name, `corn worker 2`, and the title, `corn: worker 2 g5 main:app`.

    `name` is option process_name; a long one is cut in the command name, so that the role stays.
    """
    name_process(f"{name[: _COMM - 1 - len(role)]} {role}")
    show_title(f"{name}: {role} {details}".rstrip())


def is_master_name(name: str) -> bool:
    """True for the command name of a master, whatever its process_name."""
    return name.endswith(" master")


_PROC = Path("/proc/self")
_ARG_START, _ARG_END = 45, 46  # proc_pid_stat(5) numbers them 48 and 49; two fields are cut off with the name
_MAX_COMMAND_LINE = 1 << 17


def show_title(title: str) -> bool:
    """Show `title`, cut to the available length, as this process's command line; False if that is not possible.

    Children inherit it through fork, and lose it when they execute a program.
    """
    if sys.platform != "linux":
        return False
    try:
        return _overwrite(title.encode())
    except (OSError, ValueError, IndexError):
        return False


def _overwrite(title: bytes) -> bool:
    start, size = _command_line_area()
    memory = os.open(_PROC / "mem", os.O_RDWR | os.O_CLOEXEC)
    try:
        if os.pread(memory, size, start) != (_PROC / "cmdline").read_bytes():
            return False
        # The last byte stays NUL: otherwise the kernel shows the environment that follows as a part of it.
        return os.pwrite(memory, title[: size - 1].ljust(size, b"\0"), start) == size
    finally:
        os.close(memory)


def _command_line_area() -> tuple[int, int]:
    """Start address and size of the command line in memory; raises ValueError for implausible ones."""
    fields = (_PROC / "stat").read_text().rpartition(")")[2].split()
    start, end = int(fields[_ARG_START]), int(fields[_ARG_END])
    if not (start > 0 and 1 < end - start < _MAX_COMMAND_LINE):
        raise ValueError("no command line in memory")
    return start, end - start


MAX_DESCRIPTORS = 65536


def occupy_standard_streams() -> None:
    """Open /dev/null in the place of a standard stream that was closed.

    Otherwise the next socket would get its number, and print() would write to it (stdin(3)).
    """
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(fd, True)
    os.close(fd)


def raise_descriptor_limit() -> None:
    """Raise the soft limit to the hard one, at most to `MAX_DESCRIPTORS`; never lowers it (setrlimit(2))."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = wanted_limit(soft, hard)
    if wanted == soft:
        return
    with contextlib.suppress(OSError, ValueError):  # macOS accepts less than the hard limit that it reports
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        logger.debug("raised the limit of open files from %d to %d", soft, wanted)


def wanted_limit(soft: int, hard: int) -> int:
    """Soft limit to set, given both limits of getrlimit(2). Pure."""
    if soft == resource.RLIM_INFINITY:
        return soft
    return max(soft, MAX_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MAX_DESCRIPTORS))


BY_WORKERS = (signal.SIGHUP, signal.SIGINT, signal.SIGUSR2, signal.SIGTTIN, signal.SIGTTOU, signal.SIGWINCH)
BY_TEMPLATES = (*BY_WORKERS, signal.SIGTERM, signal.SIGQUIT, signal.SIGUSR1)


JOB_CONTROL = frozenset({signal.SIGTTIN, signal.SIGTTOU})
DELIVERED = frozenset(signal.valid_signals()) - JOB_CONTROL  # unblocked again after all signals were blocked


def ignore_group_signals(numbers: Iterable[int]) -> None:
    """Ignore signals that reach the whole process group, and block those of job control."""
    for number in numbers:
        signal.signal(number, ignore_signal)
    signal.pthread_sigmask(signal.SIG_BLOCK, JOB_CONTROL)


def ignore_signal(number: int, frame: FrameType | None) -> None:
    """Signal handler that does nothing; unlike SIG_IGN, programs that the application runs do not inherit it."""
    del number, frame


def descendants(pid: int) -> list[int]:
    """Descendants of a process (proc(5)); none where the system does not list them."""
    found: list[int] = []
    pending = [pid] if pid > 0 else []
    while pending:
        children = _children(pending.pop())
        found += children
        pending += children
    return found


def _children(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
