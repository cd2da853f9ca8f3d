"""Certificates for tests, in files."""

from __future__ import annotations

import datetime as dt
import functools
import ssl
from pathlib import Path
from typing import Any

import trustme

NOW = dt.datetime.now(dt.timezone.utc)
DAY = dt.timedelta(days=1)


@functools.cache
def authority() -> trustme.CA:
    """Default certificate authority of a test run."""
    return trustme.CA(key_type=trustme.KeyType.ECDSA)


class Issued:
    """Certificate and key, in files of a directory."""

    def __init__(self, directory: Path, name: str, *names: str, ca: trustme.CA | None = None, **more: Any) -> None:
        names = names or ("localhost", "127.0.0.1")
        certificate = (ca or authority()).issue_cert(*names, key_type=trustme.KeyType.ECDSA, **more)
        self.certfile = directory / f"{name}.pem"
        self.keyfile = directory / f"{name}.key"
        self.certificate = b"".join(each.bytes() for each in certificate.cert_chain_pems)
        self.key = certificate.private_key_pem.bytes()
        self.certfile.write_bytes(self.certificate)
        self.keyfile.write_bytes(self.key)

    def options(self) -> dict[str, tuple[str, ...]]:
        """Options of corn that use the certificate."""
        return {"ssl_certfile": (str(self.certfile),), "ssl_keyfile": (str(self.keyfile),)}

    def arguments(self) -> list[str]:
        return ["--ssl-certfile", str(self.certfile), "--ssl-keyfile", str(self.keyfile)]

    def replace(self, other: Issued) -> None:
        """Replace the files atomically by those of another certificate, as a renewal does."""
        for mine, content in ((self.certfile, other.certificate), (self.keyfile, other.key)):
            fresh = mine.with_suffix(".new")
            fresh.write_bytes(content)
            fresh.rename(mine)


def client(*, own: Issued | None = None, ca: trustme.CA | None = None) -> ssl.SSLContext:
    """Client context that trusts the test's authority alone, with an optional client certificate.

    To load the system's authorities as well takes 20 ms.
    """
    context = ssl.create_default_context(cadata=(ca or authority()).cert_pem.bytes().decode("ascii"))
    if own is not None:
        context.load_cert_chain(own.certfile, own.keyfile)
    return context


def authorities(directory: Path) -> str:
    """File with the certificate of the test's authority."""
    path = directory / "ca.pem"
    authority().cert_pem.write_to_path(str(path))
    return str(path)
