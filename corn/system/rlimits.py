"""The descriptors of corn's processes: that 0, 1 and 2 are streams, and how many there may be (RLIMIT_NOFILE).

A connection is a descriptor, and the soft limit that processes are born with is 1024 nearly everywhere, for the sake of
programs that call select(2). corn does not, so it raises the limit for itself and all it starts. Not beyond `ENOUGH`:
where the hard limit is a billion, as in many containers, programs that close every possible descriptor would take
minutes. Programs that the application runs inherit the limit; decision 5 says why it is not put back for them.
"""

from __future__ import annotations

import contextlib
import os
import resource

from corn.logs import logger

ENOUGH = 65536


def occupy_standard_streams() -> None:
    """Open /dev/null in the place of a standard stream that was closed.

    The next socket would have its number otherwise, and be written to by whoever prints (stdin(3)).
    """
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(fd, True)
    os.close(fd)


def raise_descriptor_limit() -> None:
    """Raise the soft limit to the hard one, or to `ENOUGH` if that is less; never lowers it (setrlimit(2))."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = wanted_limit(soft, hard)
    if wanted == soft:
        return
    with contextlib.suppress(OSError, ValueError):  # macOS takes less than the hard limit that it tells
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        logger.debug("the limit of open files is raised from %d to %d", soft, wanted)


def wanted_limit(soft: int, hard: int) -> int:
    """The soft limit to have, given both as getrlimit(2) tells them. Pure."""
    if soft == resource.RLIM_INFINITY:
        return soft
    return max(soft, ENOUGH if hard == resource.RLIM_INFINITY else min(hard, ENOUGH))
