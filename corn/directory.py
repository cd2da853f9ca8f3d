"""The directory that a service works in."""

from __future__ import annotations

import os
from pathlib import Path

from corn.config import Config
from corn.errors import ConfigError


def enter_directory(start: Path, config: Config) -> None:
    """Go (chdir(2)) where option chdir leads from `start`; raises ConfigError where that cannot be entered.

    Called before each generation: where a deployment switches a symbolic link on the way, it finds the new release.
    """
    directory = start / config.chdir
    try:
        os.chdir(directory)
    except OSError as error:
        raise ConfigError(f"the directory {directory} cannot be entered: {error.strerror}") from None
