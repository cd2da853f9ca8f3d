"""Local certificate for `corn dev --tls`.

It is issued by an authority of its own, whose key is discarded: a browser that trusts this authority trusts no other
certificate. Both are kept in a directory of the user for a year. Then new ones are made, which the user has to trust
again.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import shutil
import tempfile
import time
from pathlib import Path

from corn.errors import ConfigError
from corn.frozen import frozen
from corn.packages import import_package

_NAMES = ("localhost", "127.0.0.1", "::1")
_DAYS = 397  # the maximum that browsers accept
_DAYS_USED = 365


@frozen
class LocalCertificate:
    """Files of a local certificate; `authority` is the certificate that a browser has to trust."""

    directory: Path

    @property
    def certfile(self) -> Path:
        return self.directory / "localhost.pem"

    @property
    def keyfile(self) -> Path:
        return self.directory / "localhost.key"

    @property
    def authority(self) -> Path:
        return self.directory / "authority.pem"

    @property
    def is_fresh(self) -> bool:
        """True if all files exist, and are valid for some time to come."""
        try:
            age = time.time() - min(each.stat().st_mtime for each in (self.certfile, self.keyfile, self.authority))
        except OSError:
            return False
        return age < _DAYS_USED * 86400


def local_certificate() -> LocalCertificate:
    """The user's certificate for localhost, made if there is none. Raises ConfigError if that fails."""
    data = Path(os.environ.get("XDG_DATA_HOME") or "~/.local/share").expanduser()
    kept = LocalCertificate(data / "corn" / "tls")
    if not kept.is_fresh:
        try:
            _make(kept)
        except OSError as error:
            raise ConfigError(f"--tls: cannot write the certificate to {kept.directory}: {error.strerror}") from None
    return kept


def _make(kept: LocalCertificate) -> None:
    """Make all files in another directory and rename it, because another `corn dev` may do the same."""
    import_package("trustme", "--tls", extra="tls")
    import trustme

    kept.directory.parent.mkdir(parents=True, exist_ok=True)
    fresh = LocalCertificate(Path(tempfile.mkdtemp(prefix="tls-", dir=kept.directory.parent)))
    authority = trustme.CA(organization_name="corn dev", organization_unit_name=f"this machine only, {dt.date.today()}")
    ends = dt.datetime.now(dt.timezone.utc) + dt.timedelta(days=_DAYS)
    issued = authority.issue_cert(*_NAMES, not_after=ends)
    authority.cert_pem.write_to_path(str(fresh.authority))
    fresh.keyfile.touch(mode=0o600)
    issued.private_key_pem.write_to_path(str(fresh.keyfile))
    fresh.certfile.write_bytes(b"".join(each.bytes() for each in issued.cert_chain_pems))
    with contextlib.suppress(OSError):
        kept.directory.rename(fresh.directory / "before")
    try:
        fresh.directory.rename(kept.directory)
    except OSError:
        if not kept.is_fresh:
            raise
        shutil.rmtree(fresh.directory)  # another process was faster
    shutil.rmtree(kept.directory / "before", ignore_errors=True)
