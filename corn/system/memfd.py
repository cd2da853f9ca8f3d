"""Anonymous file in memory (memfd_create(2)), or an unlinked temporary file where the system has none."""

from __future__ import annotations

import os
import tempfile


def anonymous_file(name: str) -> int:
    """The descriptor of a new, empty file that only descriptors lead to; closed on exec unless it is passed on.

    `name` is what /proc/PID/fd shows of it.
    """
    if hasattr(os, "memfd_create"):
        return os.memfd_create(name, os.MFD_CLOEXEC)
    with tempfile.TemporaryFile(prefix=name) as file:
        return os.dup(file.fileno())
