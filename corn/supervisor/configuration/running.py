"""Configuration of the running instance, and the changes that a reload would make, for `corn config`.

The configuration is that of the generation that serves, which is not that of a refused reload, with what commands have
changed since: the log level and the number of workers hold until the next reload.
"""

from __future__ import annotations

from typing import Any

from corn.config import OPTIONS, Config
from corn.config.options import Option
from corn.config.presentation import plain, text
from corn.errors import ConfigError
from corn.supervisor.configuration.reload import ConfigReloader, check_reload
from corn.supervisor.configuration.worker_count import workers_of
from corn.supervisor.executor import Executor
from corn.supervisor.policy.state import State

BY_LOG_LEVEL = "corn log-level"
BY_SCALE = "corn scale"
_UNKNOWN = "call"

Entry = dict[str, Any]


def running_configuration(executor: Executor, state: State, reloader: ConfigReloader) -> list[Entry]:
    """Each option with its value, as a TOML file would hold it and as text, and its origin."""
    return [
        {"option": option.name, **_described(option, value, origin)}
        for option, value, origin in _in_force(executor, state, reloader)
    ]


def reload_changes(executor: Executor, state: State, reloader: ConfigReloader) -> tuple[list[Entry], str]:
    """The options that a reload would change, from what to what; and why it would be refused, or ""."""
    try:
        wanted = reloader.preview()
    except ConfigError as error:
        return [], str(error)
    origins = reloader.origins.of(wanted)
    changes = []
    for option, value, origin in _in_force(executor, state, reloader):
        new = getattr(wanted, option.name)
        if new == value or (origin == BY_SCALE and workers_of(wanted) == value):
            continue
        now = _described(option, value, origin)
        then = _described(option, new, origins.get(option.name, _UNKNOWN))
        changes.append({"option": option.name, "from": now, "to": then, "needs_restart": not option.reloadable})
    try:
        check_reload(executor.config, wanted)
    except ConfigError as error:
        return changes, str(error)
    return changes, ""


def _in_force(executor: Executor, state: State, reloader: ConfigReloader) -> list[tuple[Option, Any, str]]:
    config = executor.config_of(state.served) or executor.config
    origins = reloader.origins.of(config)
    found = []
    for option in OPTIONS:
        value, origin = getattr(config, option.name), origins.get(option.name, _UNKNOWN)
        if option.name == "log_level" and executor.log_level_override is not None:
            value, origin = executor.log_level_override, BY_LOG_LEVEL
        if option.name == "workers" and _is_scaled(config, state):
            value, origin = state.target, BY_SCALE
        found.append((option, value, origin))
    return found


def _is_scaled(config: Config, state: State) -> bool:
    is_range = isinstance(config.workers, str) and ".." in config.workers
    return not is_range and state.target != state.settings.workers


def _described(option: Option, value: Any, origin: str) -> Entry:
    return {"value": plain(option, value), "text": text(option, value), "origin": origin}
