"""Credentials: PEM files of certificates and keys.

The master reads them, with its initial privileges; workers read the checked credentials from the vault (vault.py).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from corn.config import Config
from corn.errors import ConfigError
from corn.frozen import frozen

_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----\s.*?-----END \1-----", re.DOTALL)
_ABSENT = {"CERTIFICATE": "no certificate", "PRIVATE KEY": "no private key", "X509 CRL": "no revocation list"}
_MAX_FILE = 1 << 22


@frozen
class KeyPair:
    """Certificate with its chain, and its private key, as PEM; errors call it `name`."""

    name: str
    certificate: str
    key: str


@frozen
class Credentials:
    """Credentials of a server; authorities and revocation lists for its clients' certificates (PEM, or "")."""

    pairs: tuple[KeyPair, ...]
    authorities: str = ""
    revocations: str = ""

    def belong_to(self, config: Config) -> bool:
        """True if they are from the certificate files that the configuration names."""
        return tuple(pair.name for pair in self.pairs) == config.ssl_certfile

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, data: str | bytes) -> Credentials:
        values = json.loads(data)
        return cls(tuple(KeyPair(**pair) for pair in values["pairs"]), values["authorities"], values["revocations"])


def files_of(config: Config) -> Iterator[tuple[str, str]]:
    """Options that name files of credentials, and the files."""
    for option in ("ssl_certfile", "ssl_keyfile"):
        yield from ((option, name) for name in getattr(config, option))
    if config.ssl_ca_certs is not None:
        yield "ssl_ca_certs", config.ssl_ca_certs
    if config.ssl_crl is not None:
        yield "ssl_crl", config.ssl_crl


class FileStamps:
    """Change detector of the files of credentials."""

    def __init__(self, config: Config) -> None:
        self._files = [Path(name) for _, name in files_of(config)]
        self._last: tuple[object, ...] | None = None

    def have_changed(self) -> bool:
        """True if they have changed since the last call; always True at the first."""
        before, self._last = self._last, tuple(_stamp(path) for path in self._files)
        return self._last != before


def _stamp(path: Path) -> object:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size


def read_credentials(config: Config) -> Credentials:
    """Read the files; raises a ConfigError that names the option if one cannot be read or contains no PEM."""
    texts = {(option, name): _read(option, name) for option, name in files_of(config)}
    keyfiles = config.ssl_keyfile or config.ssl_certfile
    key_option = "ssl_keyfile" if config.ssl_keyfile else "ssl_certfile"
    pairs = []
    for certfile, keyfile in zip(config.ssl_certfile, keyfiles, strict=True):
        certificate = _blocks("ssl_certfile", certfile, texts["ssl_certfile", certfile], "CERTIFICATE")
        key = _blocks(key_option, keyfile, texts[key_option, keyfile], "PRIVATE KEY")
        pairs.append(KeyPair(certfile, certificate, key))
    authorities = ""
    if config.ssl_ca_certs is not None:
        text = texts["ssl_ca_certs", config.ssl_ca_certs]
        authorities = _blocks("ssl_ca_certs", config.ssl_ca_certs, text, "CERTIFICATE")
    revocations = ""
    if config.ssl_crl is not None:
        revocations = _blocks("ssl_crl", config.ssl_crl, texts["ssl_crl", config.ssl_crl], "X509 CRL")
    return Credentials(tuple(pairs), authorities, revocations)


def flag_of(option: str) -> str:
    return "--" + option.replace("_", "-")


def _read(option: str, name: str) -> str:
    try:
        with Path(name).open("rb") as file:
            data = file.read(_MAX_FILE)
    except OSError as error:
        raise ConfigError(f"{flag_of(option)}: cannot read '{name}': {error.strerror}") from None
    return data.decode("latin-1")


def _blocks(option: str, name: str, text: str, kind: str) -> str:
    """PEM blocks (RFC 7468) of one kind, without the text around them."""
    found = [match[0] for match in _BLOCK.finditer(text) if match[1].endswith(kind)]
    if not found:
        hint = "; name its file with --ssl-keyfile" if kind == "PRIVATE KEY" and option == "ssl_certfile" else ""
        raise ConfigError(f"{flag_of(option)}: '{name}' holds {_ABSENT[kind]} in PEM form{hint}")
    return "\n".join(found) + "\n"
