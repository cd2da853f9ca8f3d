"""Certificates and keys, from their files to the workers.

The master reads the files, as root where it begins as root, and keeps what was found good in a vault: an unnamed file
in memory that templates and workers inherit, as they do the slots. A worker never opens the files. So a worker that is
born while a half-written certificate is on the disk serves with the last good one, a key that only root may read
serves workers that are not root, and all workers agree.

Invariant: the vault holds credentials that passed the check of `corn.server.tls.certificate_check`, and one process
writes it.

Rejected: workers that watch the files themselves. Each would report the same bad file, and one that is forked in that
moment would have nothing to serve with.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import struct
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from corn.config import Config
from corn.errors import ConfigError, CornError

_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----\s.*?-----END \1-----", re.DOTALL)
_HEADER = struct.Struct("!Q32s")
_PATIENCE = 1.0  # seconds for a writer to finish
_MOST = 1 << 22


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate with its chain, and its private key, as PEM; `name` is what errors call it."""

    name: str
    certificate: str
    key: str


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a server proves itself with, and the authorities of its clients' certificates (PEM, or "")."""

    pairs: tuple[KeyPair, ...]
    authorities: str = ""

    def are_of(self, config: Config) -> bool:
        """Whether they are from the certificates' files that the configuration names."""
        return tuple(pair.name for pair in self.pairs) == config.ssl_certfile

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, data: str | bytes) -> Credentials:
        values = json.loads(data)
        return cls(tuple(KeyPair(**pair) for pair in values["pairs"]), values["authorities"])


def files_of(config: Config) -> Iterator[tuple[str, str]]:
    """The options that name files of credentials, and the files."""
    for option in ("ssl_certfile", "ssl_keyfile"):
        yield from ((option, name) for name in getattr(config, option))
    if config.ssl_ca_certs is not None:
        yield "ssl_ca_certs", config.ssl_ca_certs


class FileStamps:
    """Tells when the files of credentials have changed."""

    def __init__(self, config: Config) -> None:
        self._files = [Path(name) for _, name in files_of(config)]
        self._last: tuple[object, ...] | None = None

    def have_changed(self) -> bool:
        """Whether they are others than at the last look; at the first they are."""
        before, self._last = self._last, tuple(_stamp(path) for path in self._files)
        return self._last != before


def _stamp(path: Path) -> object:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size


def read_credentials(config: Config) -> Credentials:
    """Read the files; raises ConfigError, which names the option, where one cannot be read or holds no PEM."""
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
    return Credentials(tuple(pairs), authorities)


def flag_of(option: str) -> str:
    return "--" + option.replace("_", "-")


def _read(option: str, name: str) -> str:
    try:
        with Path(name).open("rb") as file:
            data = file.read(_MOST)
    except OSError as error:
        raise ConfigError(f"{flag_of(option)}: cannot read '{name}': {error.strerror}") from None
    return data.decode("latin-1")


def _blocks(option: str, name: str, text: str, kind: str) -> str:
    """The PEM blocks (RFC 7468) of one kind, without what is written around them."""
    found = [match[0] for match in _BLOCK.finditer(text) if match[1].endswith(kind)]
    if not found:
        what = "no certificate" if kind == "CERTIFICATE" else "no private key"
        hint = "; name its file with --ssl-keyfile" if kind != "CERTIFICATE" and option == "ssl_certfile" else ""
        raise ConfigError(f"{flag_of(option)}: '{name}' holds {what} in PEM form{hint}")
    return "\n".join(found) + "\n"


def unnamed_file(name: str) -> int:
    """A file that only its descriptor leads to, in memory where the system can (memfd_create(2))."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create(name, os.MFD_CLOEXEC)
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


class Vault:
    """Where the credentials in use lie. A reader that meets a writer reads again: a digest tells."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    @classmethod
    def create(cls, credentials: Credentials) -> Vault:
        vault = cls(unnamed_file("corn-credentials"))
        vault.store(credentials)
        return vault

    def store(self, credentials: Credentials) -> None:
        """Put credentials in place of those that are there."""
        body = credentials.to_json().encode()
        os.pwrite(self.fd, _HEADER.pack(len(body), hashlib.sha256(body).digest()) + body, 0)

    def load(self) -> Credentials:
        """The credentials that are to be used now."""
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end:
            length, digest = _HEADER.unpack(os.pread(self.fd, _HEADER.size, 0))
            body = os.pread(self.fd, length, _HEADER.size)
            if hashlib.sha256(body).digest() == digest:
                return Credentials.from_json(body)
            time.sleep(0.001)
        raise CornError("the vault of certificates is damaged; restart corn")

    def close(self) -> None:
        os.close(self.fd)
