"""Anonymous file in memory (memfd_create(2)), or an unlinked temporary file where the system has none."""

from __future__ import annotations

import os
import tempfile


def anonymous_file(name: str) -> int:
    """Create an empty file without a name; returns its descriptor, which is closed on exec unless it is passed on.

    /proc/PID/fd shows it as `name`.
    """
    if hasattr(os, "memfd_create"):
        return os.memfd_create(name, os.MFD_CLOEXEC)
    with tempfile.TemporaryFile(prefix=name) as file:
        return os.dup(file.fileno())
