"""Shared store of the TLS credentials in use: an anonymous file that templates and workers inherit.

The master reads the files, with root privileges if it was started as root, and stores credentials that have passed the
check. Workers never open the files. So a worker that is forked while the files are incomplete uses the last valid
credentials, unprivileged workers can use a key that only root may read, and all workers use the same credentials.

Invariant: the vault contains credentials that have passed the check of `corn.server.tls.certificate_check`, and only
one process writes to it.

Rejected: workers that watch the files. Each would report the same invalid file, and a worker forked at that moment
would have no credentials.
"""

from __future__ import annotations

import hashlib
import os
import struct
import time

from corn.errors import CornError
from corn.system.memfd import anonymous_file
from corn.tls.credentials import Credentials

_HEADER = struct.Struct("!Q32s")
_WRITE_TIMEOUT = 1.0  # seconds for a writer to finish


class Vault:
    """Store of the credentials in use. A digest detects a concurrent write; the reader then reads again."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    @classmethod
    def create(cls, credentials: Credentials) -> Vault:
        vault = cls(anonymous_file("corn-credentials"))
        vault.store(credentials)
        return vault

    def store(self, credentials: Credentials) -> None:
        """Replace the stored credentials."""
        body = credentials.to_json().encode()
        os.pwrite(self.fd, _HEADER.pack(len(body), hashlib.sha256(body).digest()) + body, 0)

    def load(self) -> Credentials:
        """Credentials to be used now."""
        end = time.monotonic() + _WRITE_TIMEOUT
        while time.monotonic() < end:
            length, digest = _HEADER.unpack(os.pread(self.fd, _HEADER.size, 0))
            body = os.pread(self.fd, length, _HEADER.size)
            if hashlib.sha256(body).digest() == digest:
                return Credentials.from_json(body)
            time.sleep(0.001)
        raise CornError("the vault of certificates is damaged; restart corn")

    def close(self) -> None:
        os.close(self.fd)
