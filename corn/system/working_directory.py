"""The directory that a service works in, and the one that it was started in.

Both are properties of the process, so the start is kept here, beside chdir(2), which leaves it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from corn.errors import ConfigError

_start: Path | None = None


def enter_directory(start: Path, chdir: str) -> None:
    """Go (chdir(2)) where option chdir leads from `start`; raises ConfigError where that cannot be entered.

    Called before each generation: where a deployment switches a symbolic link on the way, it finds the new release.
    """
    global _start
    directory = start / chdir
    try:
        os.chdir(directory)
    except OSError as error:
        raise ConfigError(f"the directory {directory} cannot be entered: {error.strerror}") from None
    _start = start


@contextlib.contextmanager
def back_at_the_start() -> Iterator[None]:
    """Be where corn was started for a while: what is executed there finds what this process found.

    Raises OSError where that cannot be entered any more.
    """
    here = os.open(".", os.O_RDONLY)
    try:
        if _start is not None:
            os.chdir(_start)
        yield
    finally:
        os.fchdir(here)
        os.close(here)
