"""What an application is told of a TLS connection (ASGI, "TLS Extension", version 0.2)."""

from __future__ import annotations

import re
import ssl
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from corn.server.tls.context import TLSContexts

_VERSIONS = {"TLSv1.2": 0x0303, "TLSv1.3": 0x0304}
_SHORT = {
    "commonName": "CN",
    "countryName": "C",
    "domainComponent": "DC",
    "localityName": "L",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "stateOrProvinceName": "ST",
    "streetAddress": "STREET",
    "userId": "UID",
}
_ESCAPED = re.compile(r'[\\"+,;<>]|^[ #]| $')


def tls_extension(connection: ssl.SSLObject, tls: TLSContexts) -> dict[str, Any]:
    """The extension's fields. A certificate that does not verify ends the handshake, so there is never an error."""
    cipher = connection.cipher()
    return {
        "server_cert": tls.certificates.get(connection.context),
        "client_cert_chain": client_chain(connection),
        "client_cert_name": _name(connection.getpeercert() or {}),
        "client_cert_error": None,
        "tls_version": _VERSIONS.get(connection.version() or ""),
        "cipher_suite": tls.suites.get(cipher[0]) if cipher else None,
    }


def client_chain(connection: ssl.SSLObject) -> tuple[str, ...]:
    """The certificates that the client sent, its own first, as PEM; before Python 3.13 its own alone is to be had."""
    if hasattr(connection, "get_unverified_chain"):
        chain = list(connection.get_unverified_chain())
        own = connection.getpeercert(binary_form=True)
        if own and own not in chain:
            chain.insert(0, own)
    else:
        own = connection.getpeercert(binary_form=True)
        chain = [own] if own else []
    return tuple(map(ssl.DER_cert_to_PEM_cert, chain))


def _name(fields: Any) -> str | None:
    """The subject as RFC 4514 writes it: the last part first; an empty one has no text."""
    parts = [
        "+".join(f"{_SHORT.get(kind, kind)}={escape(value)}" for kind, value in rdn)
        for rdn in fields.get("subject", ())
    ]
    return ",".join(reversed(parts)) or None


def escape(value: str) -> str:
    """A value within a distinguished name (RFC 4514, 2.4)."""
    return _ESCAPED.sub(lambda match: "\\" + match[0], value).replace("\0", "\\00")
