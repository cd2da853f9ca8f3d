"""Transport Layer Security: certificates, and what is asked of clients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from corn.config.options import option
from corn.config.types import Address, Choice, ListOf, Nullable, Seconds, Text

_HIDDEN = "********"


@dataclass(frozen=True, slots=True)
class Secret:
    """A text that is never shown."""

    metavar: str = "TEXT"

    def parse(self, raw: object) -> str:
        if not isinstance(raw, str) or not raw:
            raise ValueError("expected a text that is not empty")
        return raw

    def show(self, value: str) -> str:
        return _HIDDEN if value else ""


@dataclass(frozen=True, slots=True)
class ClientCertificates(Choice):
    """Client certificate policy: a word, or the number that stands for it in `ssl.VerifyMode` and uvicorn."""

    names: tuple[str, ...] = ("none", "optional", "required")

    def parse(self, raw: object) -> str:
        text = str(int(raw)) if isinstance(raw, int) and not isinstance(raw, bool) else raw
        return Choice.parse(self, self.names[int(text)] if text in ("0", "1", "2") else text)


TLS = "TLS"


@dataclass(frozen=True, kw_only=True)
class TLSOptions:
    ssl_certfile: tuple[str, ...] = option(
        (),
        ListOf(Text("FILE")),
        "Serve HTTPS with the certificate in FILE (PEM, its chain behind it). May be repeated: clients get the one "
        "whose names match, or the first. A file that changes is taken up while corn serves.",
        TLS,
        reloadable=False,
    )
    ssl_keyfile: tuple[str, ...] = option(
        (),
        ListOf(Text("FILE")),
        "The private key of the certificate, one for each in the same order; none if the keys stand in their files.",
        TLS,
        reloadable=False,
    )
    ssl_keyfile_password: str | None = option(
        None, Nullable(Secret()), "Password of the private keys; better given by its variable.", TLS, reloadable=False
    )
    ssl_ca_certs: str | None = option(
        None, Nullable(Text("FILE")), "Authorities whose client certificates are accepted (PEM).", TLS, reloadable=False
    )
    ssl_cert_reqs: Literal["none", "optional", "required"] = option(
        "none", ClientCertificates(), "Whether clients are asked for a certificate.", TLS, reloadable=False
    )
    ssl_ciphers: str | None = option(
        None, Nullable(Text("CIPHERS")), "Ciphers of TLS 1.2, as OpenSSL writes them.", TLS, reloadable=False
    )
    ssl_min_version: Literal["1.2", "1.3"] = option(
        "1.2", Choice(("1.2", "1.3")), "Oldest version of TLS that is spoken.", TLS, reloadable=False
    )
    timeout_handshake: float = option(10.0, Seconds(0.1), "Longest time for a TLS handshake.", TLS)
    redirect_bind: tuple[str, ...] = option(
        (),
        ListOf(Address()),
        "Listen on ADDRESS too, for plain HTTP, and send clients from there to HTTPS (308); may be repeated.",
        TLS,
        reloadable=False,
    )
