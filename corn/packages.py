"""Imports of the packages that options select: those of the extras, and uvloop.

An installed package can be broken: its wheel is bound to a version of Python and of the C library, and its own
dependencies can be missing. Either failure is an error of the installation, so it is reported without a traceback.
"""

from __future__ import annotations

import importlib
from importlib.util import find_spec
from types import ModuleType

from corn.errors import ConfigError


class MissingPackage(ConfigError):  # noqa: N818 - describes the state
    """Raised if a package is not installed."""


def import_package(name: str, needed_by: str, extra: str = "", instead: str = "") -> ModuleType:
    """Import a package, or a module of it, that the option or command `needed_by` needs.

    `extra` is the extra that installs it, and `instead` the option that works without it. Raises MissingPackage if the
    package is not installed, and ConfigError if it cannot be imported.
    """
    package = name.partition(".")[0]
    alternative = f", or use {instead}" if instead else ""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        if find_spec(package) is None:
            origin = f", the extra '{extra}'" if extra else ""
            message = f"{needed_by} needs {package}{origin}: pip install {package}{alternative}"
            raise MissingPackage(message) from None
        message = f"{needed_by} cannot import {package}: {error}; reinstall it{alternative}"
        raise ConfigError(message) from error
