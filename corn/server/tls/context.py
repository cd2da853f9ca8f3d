"""TLS contexts of a worker's credentials (the `ssl` module of the standard library, OpenSSL).

There is one context for each certificate. The first is used for clients without a server name (SNI, RFC 6066, 3), or
with one that no certificate has. A connection keeps its context, so credentials can be replaced at any time.
"""

from __future__ import annotations

import contextlib
import os
import ssl
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, TypeAlias

from corn.config import Config
from corn.diagnosis.user_traceback import in_one_line, user_traceback
from corn.errors import ConfigError, HooksError
from corn.server.http2 import http2_connection
from corn.server.tls.inspection import subject_names
from corn.system.memfd import anonymous_file
from corn.tls.credentials import Credentials, KeyPair

_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
_REQUIREMENTS = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}


ContextHook: TypeAlias = Callable[[Config, Callable[[], ssl.SSLContext]], ssl.SSLContext]
"""Function of the user's that makes a context, given the configuration and a function that makes corn's own."""


class TLSContexts:
    """TLS state of all connections; created before the fork, so that workers can resume each other's sessions.

    `timeout` is the timeout of a handshake in seconds. `credentials` are those in use, None for a context that the
    program has created, of which only the ALPN protocols are changed. `hook` creates the contexts of credentials.
    """

    def __init__(
        self, config: Config, source: Credentials | ssl.SSLContext, *, hook: ContextHook | None = None
    ) -> None:
        self.timeout = config.timeout_handshake
        self._config = config
        self._hook = hook
        self.credentials: Credentials | None = None
        if isinstance(source, ssl.SSLContext):
            source.set_alpn_protocols(application_protocols(config))
            self._use([source], {})
        else:
            self.renew(source)

    def renew(self, credentials: Credentials) -> None:
        """Use these credentials for new connections; raises ConfigError if they cannot be used.

        If they are in use already, the contexts are kept, and with them the sessions of the clients.
        """
        if credentials != self.credentials:
            contexts = [self._make(pair, credentials) for pair in credentials.pairs]
            if len(contexts) > 1:
                contexts[0].sni_callback = _NameSelector(credentials.pairs, contexts).choose
            certificates = (pair.certificate for pair in credentials.pairs)
            self._use(contexts, dict(zip(contexts, certificates, strict=True)))
            self.credentials = credentials

    def _make(self, pair: KeyPair, credentials: Credentials) -> ssl.SSLContext:
        default = partial(make_context, self._config, pair, credentials)
        return default() if self._hook is None else _call_hook(self._hook, self._config, default)

    def _use(self, contexts: list[ssl.SSLContext], certificates: dict[ssl.SSLContext, str]) -> None:
        """Serve with the first of `contexts`; the server name selects the others."""
        self.certificates = certificates
        self.suites = {str(each["name"]): int(each["id"]) & 0xFFFF for each in contexts[0].get_ciphers()}
        self._context = contexts[0]

    def new_object(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> ssl.SSLObject:
        """Server side of a new connection."""
        return self._context.wrap_bio(incoming, outgoing, server_side=True)


def _call_hook(hook: ContextHook, config: Config, default: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
    """Context that a hook creates; raises HooksError if it fails."""
    try:
        context: Any = hook(config, default)
    except ConfigError:  # of `default`
        raise
    except BaseException as error:
        what = in_one_line(f"{type(error).__name__}: {error}".rstrip(": "))
        raise HooksError(f"hook ssl_context failed: {what}", user_traceback(error)) from error
    if not isinstance(context, ssl.SSLContext):
        raise HooksError(f"hook ssl_context returned an object of type {type(context).__name__}, not an ssl.SSLContext")
    context.set_alpn_protocols(application_protocols(config))
    return context


class _NameSelector:
    """Selection of a context by the server name that the client requests (SNI)."""

    def __init__(self, pairs: tuple[KeyPair, ...], contexts: list[ssl.SSLContext]) -> None:
        self._contexts: Mapping[str, ssl.SSLContext] = {
            name: context
            for pair, context in reversed(list(zip(pairs, contexts, strict=True)))
            for name in subject_names(pair, context)
        }

    def choose(self, connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        """Select the context; called in the handshake. A wildcard matches one label (RFC 9525, 6.3)."""
        if name is not None:
            exact = name.lower().rstrip(".")
            chosen = self._contexts.get(exact) or self._contexts.get("*." + exact.partition(".")[2])
            if chosen is not None:
                with contextlib.suppress(ssl.SSLError):
                    connection.context = chosen


def application_protocols(config: Config) -> list[str]:
    """Protocols offered by ALPN (RFC 7301), in order of preference."""
    if config.http == "2":
        return ["h2"]
    return ["http/1.1"] if http2_connection(config) is None else ["h2", "http/1.1"]


def make_context(config: Config, pair: KeyPair, credentials: Credentials) -> ssl.SSLContext:
    """Context for one certificate; raises a ConfigError that names the invalid option."""
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
    if credentials.authorities:
        try:
            context.load_verify_locations(cadata=credentials.authorities)
        except (ssl.SSLError, ValueError) as error:
            raise ConfigError(f"--ssl-ca-certs: '{config.ssl_ca_certs}': {reason_of(error)}") from None
    if credentials.revocations:
        _load_revocations(context, config, credentials.revocations)
    return context


def _load_pair(context: ssl.SSLContext, pair: KeyPair, password: str | None) -> None:
    try:
        with _file_of(pair.key + pair.certificate) as name:
            # With a password function, OpenSSL does not prompt on the terminal.
            context.load_cert_chain(name, password=lambda: password or "")
    except (ssl.SSLError, ValueError) as error:
        raise ConfigError(_refusal(pair, error, password)) from None


def _load_revocations(context: ssl.SSLContext, config: Config, revocations: str) -> None:
    """Load revocation lists; each authority in a client's chain must have a list that has not expired."""
    try:
        with _file_of(revocations) as name:
            context.load_verify_locations(cafile=name)
    except (ssl.SSLError, ValueError) as error:
        raise ConfigError(f"--ssl-crl: '{config.ssl_crl}': {reason_of(error)}") from None
    context.verify_flags |= ssl.VerifyFlags.VERIFY_CRL_CHECK_CHAIN


@contextlib.contextmanager
def _file_of(text: str) -> Iterator[str]:
    """Path of an unnamed file with this text, because OpenSSL only loads certificates and keys from files."""
    fd = anonymous_file("corn-certificate")
    try:
        with os.fdopen(os.dup(fd), "w") as file:
            file.write(text)
        os.lseek(fd, 0, os.SEEK_SET)
        yield f"/dev/fd/{fd}"
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
    """Reason of an OpenSSL error, as text."""
    reason = getattr(error, "reason", None)
    return str(reason or error or "not valid").replace("_", " ").lower()
