"""Options of TLS: server certificates, client certificates, protocol versions."""

from __future__ import annotations

from typing import Literal

from corn.config.options import option, section
from corn.config.types import Address, Choice, ListOf, Nullable, Seconds, Text, literal
from corn.frozen import frozen

_HIDDEN = "********"


@frozen
class Secret:
    """Text that is never displayed."""

    metavar: str = "TEXT"
    annotation: str = "str"

    def parse(self, raw: object) -> str:
        if not isinstance(raw, str) or not raw:
            raise ValueError("expected a text that is not empty")
        return raw

    def show(self, value: str) -> str:
        return _HIDDEN if value else ""


@frozen
class ClientCertificates(Choice):
    """Client certificate policy: a word, or its number in `ssl.VerifyMode` and uvicorn."""

    names: tuple[str, ...] = ("none", "optional", "required")

    @property
    def annotation(self) -> str:
        return f"{literal(self.names)} | int"

    def parse(self, raw: object) -> str:
        text = str(int(raw)) if isinstance(raw, int) and not isinstance(raw, bool) else raw
        return Choice.parse(self, self.names[int(text)] if text in ("0", "1", "2") else text)


TLS = "TLS"


@section
class TLSOptions:
    ssl_certfile: tuple[str, ...] = option(
        (),
        ListOf(Text("FILE")),
        "Serve HTTPS with the certificate chain in FILE (PEM). May be repeated: clients get the certificate "
        "that matches the requested name, or else the first. A file that changes is reloaded while corn "
        "serves.",
        TLS,
        reloadable=False,
    )
    ssl_keyfile: tuple[str, ...] = option(
        (),
        ListOf(Text("FILE")),
        "Private key of the certificate, one per certificate in the same order; omit if the certificate file "
        "contains the key.",
        TLS,
        reloadable=False,
    )
    ssl_keyfile_password: str | None = option(
        None,
        Nullable(Secret()),
        "Password of the private keys; prefer its environment variable.",
        TLS,
        reloadable=False,
    )
    ssl_ca_certs: str | None = option(
        None,
        Nullable(Text("FILE")),
        "Certificate authorities that client certificates are verified against (PEM).",
        TLS,
        reloadable=False,
    )
    ssl_crl: str | None = option(
        None,
        Nullable(Text("FILE")),
        "Certificate revocation lists (PEM), one of each authority: clients with a revoked certificate are refused. "
        "Reloaded when the file changes.",
        TLS,
        reloadable=False,
    )
    ssl_cert_reqs: Literal["none", "optional", "required"] = option(
        "none",
        ClientCertificates(),
        "Client certificates: not requested (none), verified if sent (optional), or required.",
        TLS,
        reloadable=False,
    )
    ssl_ciphers: str | None = option(
        None, Nullable(Text("CIPHERS")), "TLS 1.2 cipher list, in OpenSSL's syntax.", TLS, reloadable=False
    )
    ssl_min_version: Literal["1.2", "1.3"] = option(
        "1.2", Choice(("1.2", "1.3")), "Minimum TLS version.", TLS, reloadable=False
    )
    timeout_handshake: float = option(10.0, Seconds(0.1), "Maximum time for a TLS handshake.", TLS)
    redirect_bind: tuple[str, ...] = option(
        (),
        ListOf(Address()),
        "Also listen on ADDRESS for plain HTTP and redirect clients to HTTPS (308); may be repeated.",
        TLS,
        reloadable=False,
    )
