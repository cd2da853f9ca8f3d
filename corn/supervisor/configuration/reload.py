"""Reload of the configuration: read again, compared with the one in force, and passed to the policy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

from corn import logs
from corn.config import OPTIONS, Config
from corn.config.env_file import read_env_file
from corn.errors import ConfigError, explain
from corn.logs import logger
from corn.supervisor.configuration.worker_count import worker_range
from corn.supervisor.executor import Executor
from corn.supervisor.policy.events import Event, ReloadRequested
from corn.supervisor.policy.state import Settings
from corn.system.paths import back_on_failure

_COMPUTED = ("workers", "most_workers", "development")


def settings_of(config: Config, *, development: bool = False) -> Settings:
    """The policy's part of the configuration; `development`: it is for `corn dev`."""
    copied = {each.name: getattr(config, each.name) for each in fields(Settings) if each.name not in _COMPUTED}
    least, most = worker_range(config)
    return Settings(**copied, workers=least, most_workers=most, development=development)


class ConfigReloader:
    """Reads the configuration again on request; `refused` receives the reason if it cannot be used."""

    def __init__(
        self,
        executor: Executor,
        reread: Callable[[], Config],
        *,
        development: bool,
        refused: Callable[[str], None],
        handle: Callable[[Event], None],
    ) -> None:
        self._executor = executor
        self._reread = reread
        self._development = development
        self._refused = refused
        self._handle = handle

    def request(self, at: float) -> None:
        """Request a reload from the policy; raises ConfigError, once logged, if the configuration is bad."""
        config = self.read()
        self._handle(ReloadRequested(at, settings_of(config, development=self._development)))

    def read(self) -> Config:
        """Put the configuration in force, for the next template; raises ConfigError, once logged, where it is bad."""
        try:
            config = reread_config(self._executor.config, self._reread)
        except ConfigError as error:
            logger.error("reload refused, nothing was changed: %s", error)
            self._refused(str(error))
            raise
        except Exception as error:
            logger.exception("reload refused, nothing was changed: a fault of corn's own")
            self._refused(repr(error))
            raise ConfigError(f"a fault of corn's own, which is in its log: {error!r}") from error
        self._executor.config = config
        logs.set_level(config.log_level)
        return config


def reread_config(current: Config, reread: Callable[[], Config]) -> Config:
    """The configuration as its sources hold it now.

    Raises ConfigError where it cannot be read, or where it changes an option that only a restart can change; then the
    working directory, which reading may change, is again what it was.
    """
    try:
        with back_on_failure():
            return _checked(current, reread())
    except OSError as error:
        raise ConfigError(explain(error)) from error


def _checked(current: Config, config: Config) -> Config:
    for option in OPTIONS:
        old, new = getattr(current, option.name), getattr(config, option.name)
        if old != new and not option.reloadable:
            shown = f"from {option.kind.show(old) or 'unset'} to {option.kind.show(new) or 'unset'}"
            raise ConfigError(f"{option.name} cannot change {shown} without a restart")
    for name in config.env_file:
        read_env_file(Path(name))
    return config
