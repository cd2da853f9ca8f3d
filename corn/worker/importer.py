"""Import of the application from MODULE:ATTRIBUTE, with every failure reported in terms of the user's code."""

from __future__ import annotations

import importlib
import pkgutil
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from corn.config import Config
from corn.config.suggestions import did_you_mean
from corn.diagnosis.user_traceback import user_traceback
from corn.errors import ApplicationError, ConfigError
from corn.server.asgi.interface import check_interface
from corn.system.monkey_patches import monkey_patcher


def load_application(config: Config) -> Any:
    """Import the application that the configuration names, and call it if it is a factory.

    Raises ConfigError if the name cannot be resolved, ApplicationError if the user's own code fails.
    """
    module_name, _, attribute = (config.app or "").partition(":")
    put_first_on_path(config.app_dir)
    module = _import(module_name, config)
    if patcher := monkey_patcher():
        raise ApplicationError(f"{module_name}: {patcher}; corn runs on asyncio, so remove the monkey patching")
    found = _attribute(module, attribute)
    if config.factory:
        found = _call(found, config)
    if not callable(found):
        kind = type(found).__name__
        raise ConfigError(f"{config.app} is not an application: an object of type {kind} cannot be called")
    check_interface(found, config)
    return found


def put_first_on_path(app_dir: str) -> None:
    """Put the application's directory first on the module path; raises ConfigError if it does not exist."""
    try:
        directory = str(Path(app_dir).resolve())
    except OSError as error:
        raise ConfigError(f"the working directory cannot be used: {error.strerror}") from None
    if sys.path[:1] != [directory]:
        sys.path.insert(0, directory)
    importlib.invalidate_caches()


def _import(name: str, config: Config) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not (name == error.name or name.startswith(error.name + ".")):
            raise failed(f"{name} could not be imported", error) from error
        where = Path(config.app_dir).resolve()
        hint = did_you_mean(name, [each.name for each in pkgutil.iter_modules([str(where)])])
        raise ConfigError(f"no module named {error.name!r} (looked in {where} first){hint}") from error
    except BaseException as error:
        raise failed(f"{name} could not be imported", error) from error


def _attribute(module: ModuleType, attribute: str) -> Any:
    found: Any = module
    for name in attribute.split("."):
        if not hasattr(found, name):
            names = [each for each, value in vars(module).items() if not each.startswith("_") and callable(value)]
            hint = did_you_mean(name, names) or "; check the part after the colon"
            raise ConfigError(f"module {module.__name__!r} has no {name!r}{hint}")
        found = getattr(found, name)
    return found


def _call(factory: Any, config: Config) -> Any:
    if not callable(factory):
        raise ConfigError(f"{config.app} is of type {type(factory).__name__}, not a factory; leave out --factory")
    try:
        return factory()
    except BaseException as error:
        raise failed(f"the factory {config.app} failed", error) from error


def failed(what: str, error: BaseException) -> ApplicationError:
    """Build the error for a part of the application that failed, with the user's own frames."""
    if isinstance(error, SystemExit):
        return ApplicationError(f"{what}: it called sys.exit({error.code!r})", user_traceback(error))
    summary = traceback.format_exception_only(type(error), error)[-1].strip()
    return ApplicationError(f"{what}: {summary}", user_traceback(error))
