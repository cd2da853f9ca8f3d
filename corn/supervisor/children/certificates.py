r"""Certificate renewal: from the first read of the files to each replacement of the served certificates.

    files change -> read -> checked -> stored in the vault, and the workers are notified
                                   \-> refused: one line in the log; the current certificates stay in use

If the files change again during a check, the result is dropped and the files are read again. A refusal is logged only
at the next poll, because certificate and key are two files that are not replaced at the same instant.

The master reads the files: at start-up with its initial privileges, later as the user that it has changed to. It does
not load the TLS modules, so the files are checked in a separate process. The master waits for it only at start-up.
"""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable

from corn.config import Config
from corn.errors import ConfigError
from corn.ipc.channel import Channel
from corn.ipc.messages import Examine, Examined, Message, RenewCredentials
from corn.logs import logger
from corn.supervisor.children.child import ChildProcess, Children, start_channel
from corn.supervisor.children.spawn import execute
from corn.supervisor.policy.state import ProcessExit
from corn.tls.credentials import Credentials, FileStamps, files_of, flag_of, read_credentials
from corn.tls.vault import Vault

_POLL_INTERVAL = 0.25  # seconds between two polls of the files
_CHECK_TIMEOUT = 20.0
_NO_ANSWER = Examined(usable=False, timely=False, text="the certificate check did not respond")


def first_credentials(config: Config, before: Credentials | None = None) -> tuple[Credentials, str] | None:
    """Initial credentials and a warning or ""; None without HTTPS.

    `before` are the predecessor's credentials, which it may have read as root. They are used if the files cannot be
    read. Raises ConfigError if no credentials can be used. A certificate that has expired or is not valid yet is used,
    with a warning, because a failed start would be worse.
    """
    if not config.ssl_certfile:
        return None
    try:
        credentials = read_credentials(config)
    except ConfigError:
        if before is None or not before.belong_to(config):
            raise
        credentials = before
    found = _check(config, credentials)
    if not found.usable:
        raise ConfigError(found.text)
    return credentials, "" if found.timely else found.text


def _check(config: Config, credentials: Credentials) -> Examined:
    """Check credentials in a child process, and wait for the result."""
    pid, channel = start_channel(_execute)
    try:
        channel.set_timeout(_CHECK_TIMEOUT)  # a timeout reads as the end of the channel
        channel.send(Examine(config.to_json(), credentials.to_json()))
        return _result(channel)
    finally:
        channel.close()
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _result(channel: Channel) -> Examined:
    while not channel.closed:
        for message in channel.receive():
            if isinstance(message, Examined):
                return message
    return _NO_ANSWER


class CertificateRenewal:
    """Polls the files while corn serves; `send` sends a message to all workers."""

    def __init__(
        self, config: Config, vault: Vault | None, children: Children, send: Callable[[Message], None]
    ) -> None:
        self._config = config
        self._vault = vault
        self._children = children
        self._send = send
        self._stamps = FileStamps(config)
        for option, name in files_of(config):
            if not os.access(name, os.R_OK):
                logger.warning("%s: '%s' is no longer readable: renewing it needs a restart", flag_of(option), name)
                self._stamps.have_changed()
        self._checker: ChildProcess | None = None
        self._checked: Credentials | None = None
        self._check_ends = 0.0
        self._refusal = ""
        self._next = time.monotonic() + _POLL_INTERVAL

    def next_at(self) -> float | None:
        """Time of the next poll."""
        return None if self._vault is None else self._next

    def tick(self, now: float) -> None:
        """Poll the files if that is due, and report an earlier refusal; never blocks."""
        if self._vault is None or now < self._next:
            return
        self._next = now + _POLL_INTERVAL
        if self._stamps.have_changed():
            self._begin(self._vault, now)
        elif self._refusal:
            logger.error("certificate renewal failed, keeping the current certificates: %s", self._refusal)
            self._refusal = ""
        elif self._checker is not None and now >= self._check_ends:
            self._conclude(_NO_ANSWER)

    def finish(self) -> None:
        """Stop the check that is under way."""
        if self._checker is not None:
            self._checker.signal(signal.SIGKILL)
            self._children.drop(self._checker)
            self._checker = None

    def _begin(self, vault: Vault, now: float) -> None:
        self._refusal = ""
        self.finish()
        try:
            credentials = read_credentials(self._config)
            if credentials == vault.load():
                return
            self._checker = self._children.start("the process that checks certificates", _execute)
        except (ConfigError, OSError) as error:
            self._refusal = str(error)
            return
        self._checked, self._check_ends = credentials, now + _CHECK_TIMEOUT
        self._checker.on_message, self._checker.on_exit = self._receive, self._exited
        self._children.send(self._checker, Examine(self._config.to_json(), credentials.to_json()))

    def _receive(self, message: Message) -> None:
        if isinstance(message, Examined):
            self._conclude(message)

    def _exited(self, end: ProcessExit) -> None:
        del end
        if self._checker is not None:
            self._conclude(_NO_ANSWER)

    def _conclude(self, found: Examined) -> None:
        credentials = self._checked
        self.finish()
        if self._vault is None or credentials is None:
            return
        if found.usable and found.timely:
            self._vault.store(credentials)
            self._send(RenewCredentials())
            logger.info("certificates renewed: %s", found.text)
        else:
            self._refusal = found.text


def _execute(channel: socket.socket) -> int:
    return execute("corn.server.tls.certificate_check", channel.fileno(), [channel.fileno()], os.environ)
