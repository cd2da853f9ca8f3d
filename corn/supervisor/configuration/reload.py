"""Configuration reload: reads the sources again, compares the result with the current one, and informs the policy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from pathlib import Path

from corn import logs
from corn.config import OPTIONS, Config
from corn.config.env_file import read_env_file
from corn.config.sources import Resolved
from corn.errors import ConfigError, explain
from corn.logs import logger
from corn.supervisor.configuration.worker_count import worker_range
from corn.supervisor.executor import Executor
from corn.supervisor.policy.events import Event, ReloadRequested
from corn.supervisor.policy.state import Settings
from corn.system.paths import working_directory_restored, working_directory_restored_on_failure

_KEPT_CONFIGS = 8
_COMPUTED = ("workers", "max_workers", "development")


def settings_of(config: Config, *, development: bool = False) -> Settings:
    """Settings of the policy from a configuration; `development` is True for `corn dev`."""
    copied = {each.name: getattr(config, each.name) for each in fields(Settings) if each.name not in _COMPUTED}
    minimum, maximum = worker_range(config)
    return Settings(**copied, workers=minimum, max_workers=maximum, development=development)


class Origins:
    """Sources of the values of the configurations that were read last."""

    def __init__(self) -> None:
        self._known: dict[Config, Mapping[str, str]] = {}

    def note(self, resolved: Resolved) -> Config:
        """Remember the sources of a configuration, and return it."""
        if len(self._known) >= _KEPT_CONFIGS:
            del self._known[next(iter(self._known))]
        self._known[_without_level(resolved.config)] = resolved.origins
        return resolved.config

    def of(self, config: Config) -> Mapping[str, str]:
        """Source of each option; empty where it is not known."""
        return self._known.get(_without_level(config), {})


def _without_level(config: Config) -> Config:
    """The level may be changed while corn serves."""
    return replace(config, log_level="")


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
        origins: Origins,
    ) -> None:
        self._executor = executor
        self._reread = reread
        self._development = development
        self._refused = refused
        self._handle = handle
        self.origins = origins

    def request(self, at: float) -> None:
        """Request a reload from the policy; logs and raises ConfigError if the configuration is invalid."""
        config = self.read()
        self._handle(ReloadRequested(at, settings_of(config, development=self._development)))

    def read(self) -> Config:
        """Make the configuration current for the next template; logs and raises ConfigError if it is invalid."""
        try:
            config = reread_config(self._executor.config, self._reread)
        except ConfigError as error:
            logger.error("reload refused, nothing was changed: %s", error)
            self._refused(str(error))
            raise
        except Exception as error:
            logger.exception("reload refused, nothing was changed: internal error")
            self._refused(repr(error))
            raise ConfigError(f"internal error, see the log of the service: {error!r}") from error
        self._executor.config, self._executor.log_level_override = config, None
        logs.set_level(config.log_level)
        return config

    def preview(self) -> Config:
        """The configuration that a reload would read now; raises ConfigError where it cannot be read."""
        try:
            with working_directory_restored():
                return self._reread()
        except OSError as error:
            raise ConfigError(explain(error)) from error


def reread_config(current: Config, reread: Callable[[], Config]) -> Config:
    """Read the configuration from its sources again.

    Raises ConfigError if it cannot be read, or if it changes an option that needs a restart. The working directory,
    which reading may change, is restored in this case.
    """
    try:
        with working_directory_restored_on_failure():
            config = reread()
            check_reload(current, config)
            return config
    except OSError as error:
        raise ConfigError(explain(error)) from error


def check_reload(current: Config, config: Config) -> None:
    """Raise ConfigError if only a restart can bring a configuration about, or if an env file cannot be read."""
    for option in OPTIONS:
        old, new = getattr(current, option.name), getattr(config, option.name)
        if old != new and not option.reloadable:
            shown = f"from {option.kind.show(old) or 'unset'} to {option.kind.show(new) or 'unset'}"
            raise ConfigError(f"{option.name} cannot change {shown} without a restart")
    for name in config.env_file:
        read_env_file(Path(name))
