"""Validation across options: mutually exclusive options, required extras, existing files.

Four groups of options set the addresses: --bind, --host and --port, --uds, --fd. A source may use one of them. If
several sources use different ones, the source of highest precedence wins, so that a flag overrides a variable of a
container image.
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

from corn.config.env_file import read_env_file
from corn.config.sections.logs import is_table
from corn.config.sections.static import split_mount
from corn.config.values import Layer, OptionValue
from corn.errors import ConfigError

_ADDRESS_OPTIONS = {"bind": "bind", "host": "port", "port": "port", "uds": "uds", "fd": "fd"}


def select_address_option(layers: Sequence[Layer]) -> list[Layer]:
    """Keep the address option of highest precedence in `layers`; raises ConfigError if a layer has two."""
    used = [_address_option(layer) for layer in layers]
    winner = next((option for option in used if option), None)
    return [
        {name: given for name, given in layer.items() if _ADDRESS_OPTIONS.get(name, winner) == winner}
        for layer in layers
    ]


def _address_option(layer: Layer) -> str | None:
    first: tuple[str, OptionValue] | None = None
    for name, given in layer.items():
        option = _ADDRESS_OPTIONS.get(name)
        if option is None:
            continue
        if first is not None and option != first[0]:
            words = f"{first[1].spelling} and {given.spelling}"
            raise ConfigError(f"{given.place}{words} both set the address to listen on; keep one of them")
        first = (option, given)
    return first[0] if first else None


def check_tls(chosen: Layer) -> None:
    """Raise ConfigError if an option of TLS needs another one."""
    certfiles, keyfiles = chosen.get("ssl_certfile"), chosen.get("ssl_keyfile")
    if certfiles and keyfiles and keyfiles.value and len(certfiles.value) != len(keyfiles.value):
        raise ConfigError(
            f"{keyfiles.label}: there are {len(certfiles.value)} certificates and "
            f"{len(keyfiles.value)} keys; give one key for each, in the same order"
        )
    for name in ("ssl_keyfile", "ssl_ca_certs", "ssl_crl", "ssl_keyfile_password", "redirect_bind"):
        given = chosen.get(name)
        if given and given.value and not (certfiles and certfiles.value):
            raise ConfigError(f"{given.label}: give a certificate too, with --ssl-certfile")
    authorities, wanted = chosen.get("ssl_ca_certs"), chosen.get("ssl_cert_reqs")
    verifies = wanted is not None and wanted.value != "none"
    revoked = chosen.get("ssl_crl")
    if revoked and revoked.value and not verifies:
        raise ConfigError(f"{revoked.label}: it needs --ssl-cert-reqs optional or required")
    if authorities and not verifies:
        raise ConfigError(f"{authorities.label}: it needs --ssl-cert-reqs optional or required")
    if wanted and verifies and not authorities:
        raise ConfigError(f"{wanted.label}: name the clients' authorities with --ssl-ca-certs")


def check_extras(chosen: Layer) -> None:
    """Raise ConfigError if an option needs a package that is not installed."""
    given = chosen.get("admin")
    if given and given.value and find_spec("prometheus_client") is None:
        raise ConfigError(f"{given.label} needs prometheus-client, the extra 'admin': pip install prometheus-client")


def check_files(chosen: Layer, directory: Path) -> None:
    """Raise ConfigError if a directory or a file does not exist, or an env_file cannot be parsed.

    `directory` is the working directory, after option chdir.
    """
    for name, path in (("chdir", "."), ("app_dir", None)):
        given = chosen.get(name)
        if given and not _is(stat.S_ISDIR, given, directory / (path or given.value)):
            raise ConfigError(f"{given.label}: there is no directory '{given.value}'")
    if given := chosen.get("static"):
        for _, name in map(split_mount, given.value):
            if not _is(stat.S_ISDIR, given, directory / name):
                raise ConfigError(f"{given.label}: there is no directory '{name}'")
    for name in ("hooks", "log_config"):
        given = chosen.get(name)
        if given and not is_table(given.value) and not _is(stat.S_ISREG, given, directory / given.value):
            raise ConfigError(f"{given.label}: there is no file '{given.value}'")
    if given := chosen.get("env_file"):
        for name in given.value:
            _check_env_file(given, directory / name, name)


def _check_env_file(given: OptionValue, path: Path, name: str) -> None:
    if not _is(stat.S_ISREG, given, path):
        raise ConfigError(f"{given.label}: there is no file '{name}'")
    read_env_file(path)


def _is(kind: Callable[[int], bool], given: OptionValue, path: Path) -> bool:
    """True if there is a file of a kind; raises ConfigError if stat(2) fails for another reason."""
    try:
        return kind(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a NUL in the name
        return False
    except OSError as error:
        raise ConfigError(f"{given.label}: '{path}' cannot be accessed: {error.strerror}") from None
