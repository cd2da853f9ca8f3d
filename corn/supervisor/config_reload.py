"""What a reload may change: the configuration read again, compared with the one in force."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from corn.config import OPTIONS, Config
from corn.config.env_file import read_env_file
from corn.errors import ConfigError
from corn.supervisor.policy.state import Settings
from corn.supervisor.worker_count import workers_of


def settings_of(config: Config, *, development: bool = False) -> Settings:
    """The part of the configuration that the policy decides by; `development`: it is for `corn dev`."""
    return Settings(
        workers=workers_of(config),
        timeout_boot=config.timeout_boot,
        timeout_worker=config.timeout_worker,
        timeout_graceful_shutdown=config.timeout_graceful_shutdown,
        timeout_lifespan_shutdown=config.timeout_lifespan_shutdown,
        drain_delay=config.drain_delay,
        soak=config.soak,
        rollback_window=config.rollback_window,
        min_worker_lifetime=config.min_worker_lifetime,
        limit_lifetime=config.limit_lifetime,
        limit_memory=config.limit_memory,
        limit_memory_hard=config.limit_memory_hard,
        limit_memory_total=config.limit_memory_total,
        development=development,
        keep_last_good=config.keep_last_good,
    )


def reread_config(current: Config, reread: Callable[[], Config]) -> Config:
    """The configuration as its sources hold it now.

    Raises ConfigError where it cannot be read, or where it changes an option that only a restart can change; then the
    working directory, which reading may change, is again what it was.
    """
    before = os.open(".", os.O_RDONLY)
    try:
        return _checked(current, reread())
    except ConfigError:
        os.fchdir(before)
        raise
    finally:
        os.close(before)


def _checked(current: Config, config: Config) -> Config:
    for option in OPTIONS:
        old, new = getattr(current, option.name), getattr(config, option.name)
        if old != new and not option.reloadable:
            shown = f"from {option.kind.show(old) or 'unset'} to {option.kind.show(new) or 'unset'}"
            raise ConfigError(f"{option.name} cannot change {shown} without a restart")
    for name in config.env_file:
        read_env_file(Path(name))
    return config
