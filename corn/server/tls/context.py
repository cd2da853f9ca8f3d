"""TLS contexts: credentials made into what a handshake needs (the `ssl` module of the standard library, OpenSSL).

One context for each certificate. The first answers clients whose server name (SNI, RFC 6066, 3) no certificate has, or
who send none. A connection keeps the context it began with, so credentials can be replaced at any time.
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Mapping

from corn.config import Config
from corn.server.tls._make_context import make_context
from corn.server.tls.certificate_check import subject_names
from corn.tls.credentials import Credentials, KeyPair


class TLSContexts:
    """What all TLS connections of a worker share; made before the fork, so that workers resume each other's sessions.

    `timeout` is the longest time for a handshake in seconds, `credentials` is what is in use.
    """

    def __init__(self, config: Config, credentials: Credentials) -> None:
        self.timeout = config.timeout_handshake
        self._config = config
        self.credentials: Credentials | None = None
        self.renew(credentials)

    def renew(self, credentials: Credentials) -> None:
        """Use these credentials for the connections to come; raises ConfigError where they cannot be used.

        Those that are in use already are kept as they are, and the sessions of their clients with them.
        """
        if credentials != self.credentials:
            contexts = [make_context(self._config, pair, credentials.authorities) for pair in credentials.pairs]
            if len(contexts) > 1:
                contexts[0].sni_callback = _Chooser(credentials.pairs, contexts).choose
            self.certificates = {
                context: pair.certificate for context, pair in zip(contexts, credentials.pairs, strict=True)
            }
            self.suites = {str(each["name"]): int(each["id"]) & 0xFFFF for each in contexts[0].get_ciphers()}
            self._context, self.credentials = contexts[0], credentials

    def new_object(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> ssl.SSLObject:
        """The server's side of a new connection."""
        return self._context.wrap_bio(incoming, outgoing, server_side=True)


class _Chooser:
    """Chooses a context by the name that the client asks for."""

    def __init__(self, pairs: tuple[KeyPair, ...], contexts: list[ssl.SSLContext]) -> None:
        self._contexts: Mapping[str, ssl.SSLContext] = {
            name: context
            for pair, context in reversed(list(zip(pairs, contexts, strict=True)))
            for name in subject_names(pair, context)
        }

    def choose(self, connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        """Called in the handshake. A wildcard stands for one label (RFC 9525, 6.3)."""
        if name is not None:
            exact = name.lower().rstrip(".")
            chosen = self._contexts.get(exact) or self._contexts.get("*." + exact.partition(".")[2])
            if chosen is not None:
                with contextlib.suppress(ssl.SSLError):
                    connection.context = chosen
