"""One certificate made into a context of OpenSSL's; every option that it comes from is named where it is wrong."""

from __future__ import annotations

import os
import ssl

from corn.config import Config
from corn.errors import ConfigError
from corn.server.http2 import http2_connection
from corn.tls.credentials import KeyPair, unnamed_file

_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
_REQUIREMENTS = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}


def application_protocols(config: Config) -> list[str]:
    """What is offered for the connection (ALPN, RFC 7301), the best first."""
    if config.http == "2":
        return ["h2"]
    return ["http/1.1"] if http2_connection(config) is None else ["h2", "http/1.1"]


def make_context(config: Config, pair: KeyPair, authorities: str) -> ssl.SSLContext:
    """The context for one certificate; raises ConfigError, which names the option that is wrong."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _VERSIONS[config.ssl_min_version]
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(application_protocols(config))
    if config.ssl_ciphers is not None:
        try:
            context.set_ciphers(config.ssl_ciphers)
        except ssl.SSLError:
            raise ConfigError(f"--ssl-ciphers: OpenSSL knows no cipher in '{config.ssl_ciphers}'") from None
    _load_pair(context, pair, config.ssl_keyfile_password)
    context.verify_mode = _REQUIREMENTS[config.ssl_cert_reqs]
    if authorities:
        try:
            context.load_verify_locations(cadata=authorities)
        except (ssl.SSLError, ValueError) as error:
            raise ConfigError(f"--ssl-ca-certs: '{config.ssl_ca_certs}': {reason_of(error)}") from None
    return context


def _load_pair(context: ssl.SSLContext, pair: KeyPair, password: str | None) -> None:
    """OpenSSL takes certificates and keys by file name only: this file has none but that of its descriptor."""
    fd = unnamed_file("corn-certificate")
    try:
        with os.fdopen(os.dup(fd), "w") as file:
            file.write(pair.key + pair.certificate)
        os.lseek(fd, 0, os.SEEK_SET)
        # With a function for the password, OpenSSL does not ask the terminal for one.
        context.load_cert_chain(f"/dev/fd/{fd}", password=lambda: password or "")
    except (ssl.SSLError, ValueError) as error:
        raise ConfigError(_refusal(pair, error, password)) from None
    finally:
        os.close(fd)


def _refusal(pair: KeyPair, error: ssl.SSLError | ValueError, password: str | None) -> str:
    reason = error.reason if isinstance(error, ssl.SSLError) else ""
    if reason == "KEY_VALUES_MISMATCH":
        return f"--ssl-keyfile: the key does not match the certificate in '{pair.name}'"
    if "ENCRYPTED" in pair.key:
        if password is None:
            return f"--ssl-keyfile: the key of '{pair.name}' is encrypted; give its --ssl-keyfile-password"
        return f"--ssl-keyfile-password: it does not open the key of '{pair.name}'"
    return f"--ssl-certfile: '{pair.name}' and its key cannot be used: {reason_of(error)}"


def reason_of(error: Exception) -> str:
    """What OpenSSL says, in words."""
    reason = getattr(error, "reason", None)
    return str(reason or error or "not valid").replace("_", " ").lower()
