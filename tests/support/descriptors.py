"""Open descriptors of this process, by the files that they refer to."""

import contextlib
import os
from collections import Counter


def descriptors() -> Counter[str]:
    """How many descriptors refer to each open file, socket or pipe (proc_pid_fd(5)).

    What a test has left open is `descriptors() - before`. The number alone may also fall meanwhile, when the garbage
    collector closes a file of an earlier test.
    """
    found: Counter[str] = Counter()
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # that of the listing itself
            found[os.readlink(f"/proc/self/fd/{name}")] += 1
    return found
