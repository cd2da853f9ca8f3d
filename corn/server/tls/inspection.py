"""Certificate inspection from a client's side, by a TLS handshake in memory.

The handshake tests the certificate as it is sent, the key, and the configured versions and ciphers. It also yields the
fields of the certificate, which the `ssl` module only returns to a verifying peer.
"""

from __future__ import annotations

import contextlib
import ssl
import time
from typing import Any

from corn.errors import ConfigError
from corn.frozen import frozen
from corn.tls.credentials import KeyPair

_NO_CHECK_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME: the caller checks the times


@frozen
class CertificateInfo:
    """Certificate as a client sees it; times in seconds since the epoch."""

    names: tuple[str, ...]
    not_before: float
    not_after: float

    def problem(self, now: float) -> str:
        """Reason why clients refuse it at this time, or ""."""
        if now > self.not_after:
            return f"it expired on {date_of(self.not_after)}"
        if now < self.not_before:
            return f"it is not valid before {date_of(self.not_before)}"
        return ""


def subject_names(pair: KeyPair, context: ssl.SSLContext) -> tuple[str, ...]:
    """DNS names of a certificate, in lower case."""
    return inspect_certificate(pair, context).names


def inspect_certificate(pair: KeyPair, context: ssl.SSLContext) -> CertificateInfo:
    """Do a handshake between a client and a server in memory; raises ConfigError if it fails."""
    mode, context.verify_mode = context.verify_mode, ssl.CERT_NONE
    try:
        fields = _handshake(context, _client_context(pair))
    except (ssl.SSLError, ValueError) as error:
        reason = getattr(error, "verify_message", "") or getattr(error, "reason", None) or error
        raise ConfigError(f"--ssl-certfile: no client would accept '{pair.name}': {reason}") from None
    finally:
        context.verify_mode = mode
    names = [value for kind, value in fields.get("subjectAltName", ()) if kind == "DNS"]
    names += [value for rdn in fields["subject"] for kind, value in rdn if kind == "commonName" and not names]
    return CertificateInfo(
        tuple(name.lower() for name in names),
        ssl.cert_time_to_seconds(fields["notBefore"]),
        ssl.cert_time_to_seconds(fields["notAfter"]),
    )


def _client_context(pair: KeyPair) -> ssl.SSLContext:
    """Client context that trusts this certificate alone."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    first = pair.certificate.partition("-----END CERTIFICATE-----")
    client.load_verify_locations(cadata=first[0] + first[1])
    client.verify_flags |= ssl.VerifyFlags(_NO_CHECK_TIME) | ssl.VERIFY_X509_PARTIAL_CHAIN
    return client


def _handshake(server_context: ssl.SSLContext, client_context: ssl.SSLContext) -> dict[str, Any]:
    """Fields of the server's certificate as the client has verified it."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = server_context.wrap_bio(to_server, to_client, server_side=True)
    client = client_context.wrap_bio(to_client, to_server)
    for side in (client, server, client, server, client):
        with contextlib.suppress(ssl.SSLWantReadError):
            side.do_handshake()
    return dict(client.getpeercert() or {})


def date_of(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))
