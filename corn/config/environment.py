"""The variables that corn reads, and those it leaves alone.

A variable that begins with CORN_ and that corn does not know is refused: a misspelt one would otherwise be a setting
that silently does nothing. Kubernetes is the exception. For a Service called `corn` (or `corn-api`) it puts
CORN_SERVICE_HOST, CORN_PORT=tcp://10.0.0.1:80, CORN_PORT_80_TCP_ADDR and others into every container of the namespace,
and those are nobody's settings. A variable that is empty counts as one that is not there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from corn.config.schema import OPTIONS
from corn.config.suggestions import did_you_mean
from corn.config.values import Layer, parse_value
from corn.errors import ConfigError

PREFIX = "CORN_"
CONFIG_VARIABLE = "CORN_CONFIG"

_SERVICE_NAME = re.compile(
    r"CORN_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_PROTO|_PORT|_ADDR)?)"
)
_SERVICE_URL = re.compile(r"(tcp|udp|sctp)://\S+")


def read_environment(environ: Mapping[str, str]) -> Layer:
    """The options that variables give; raises ConfigError for an unknown CORN_ variable or a wrong value."""
    present = {name: text for name, text in environ.items() if text and not _made_by_kubernetes(name, text)}
    _refuse_unknown(present)
    layer: Layer = {}
    for option in OPTIONS:
        for variable in (option.variable, *option.variables):
            if variable in present and option.name not in layer:
                layer[option.name] = parse_value(option.name, present[variable], variable, variable)
    return layer


def _made_by_kubernetes(name: str, text: str) -> bool:
    if name.startswith(PREFIX) and name.endswith("_PORT") and _SERVICE_URL.fullmatch(text):
        return True
    return _SERVICE_NAME.fullmatch(name) is not None


def _refuse_unknown(present: Mapping[str, str]) -> None:
    known = {CONFIG_VARIABLE, *(option.variable for option in OPTIONS)}
    for name in sorted(present):
        if name.startswith(PREFIX) and name not in known:
            raise ConfigError(f"unknown variable '{name}'{_hint(name, known)}")


def _hint(name: str, known: set[str]) -> str:
    """Compare without the prefix, which alone makes any two of the names look alike."""
    near = did_you_mean(name.removeprefix(PREFIX), [each.removeprefix(PREFIX) for each in known])
    return near.replace("'", f"'{PREFIX}", 1) or "; unset it, or see 'corn config --help' for the options there are"
