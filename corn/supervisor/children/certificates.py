r"""The certificates that are served, from the first look at their files to each renewal.

    files change -> read -> examined -> in the vault, and the workers are told
                                    \-> refused: one line in the log, and those in use stay

Whatever was found of files that change once more meanwhile is forgotten, and they are read anew. So a refusal is logged
at the look that follows: certificate and key are two files, and are not replaced at once.

The master reads the files: at the start as root, where it begins as root, and later as whoever it has become. It loads
no TLS, so whether they can be used is found out by a process of its own, the examiner, which the master waits for at
the start only.
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
from corn.supervisor.children.spawn import execute_examiner
from corn.tls.credentials import Credentials, FileStamps, files_of, flag_of, read_credentials
from corn.tls.vault import Vault

_EVERY = 0.25  # seconds between two looks at the files
_EVERY_WHILE_EXAMINED = 0.05
_PATIENCE = 20.0  # seconds for an examiner


class CertificateChecker:
    """A process that examines credentials."""

    def __init__(self, config: Config, credentials: Credentials) -> None:
        """Start it; raises OSError where that cannot be."""
        ours, theirs = socket.socketpair()
        with theirs:
            self.pid = execute_examiner(theirs)
        self.credentials = credentials
        self.ends = time.monotonic() + _PATIENCE
        self._socket = ours
        self._channel = Channel(ours)
        self._socket.setblocking(False)
        self._channel.send(Examine(config.to_json(), credentials.to_json()))

    def verdict(self) -> Examined | None:
        """What it says; None while it is silent. Its end, or too long a silence, is a bad verdict."""
        self._channel.flush()
        for message in self._channel.receive():
            if isinstance(message, Examined):
                return message
        if self._channel.closed or time.monotonic() > self.ends:
            return Examined(usable=False, timely=False, text="the process that examines them did not answer")
        return None

    def await_verdict(self) -> Examined:
        """Wait for it, and for the end of the process."""
        self._socket.settimeout(_PATIENCE)  # a time-out reads as the end of the channel
        found = self.verdict()
        self.close()
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        assert found is not None
        return found

    def close(self) -> None:
        """Let go of it: a process that still listens ends."""
        self._channel.close()


def first_credentials(config: Config, before: Credentials | None = None) -> tuple[Credentials, str] | None:
    """The credentials to begin with, and what is to be warned of, or ""; None where no HTTPS is served.

    `before` are those of a master before this one, which may have read, as root, what this one cannot. Raises
    ConfigError where there are none that can be used. A certificate that has expired, or is not valid yet, can be: a
    service that does not start serves nobody.
    """
    if not config.ssl_certfile:
        return None
    try:
        credentials = read_credentials(config)
    except ConfigError:
        if before is None or not before.are_of(config):
            raise
        credentials = before
    found = CertificateChecker(config, credentials).await_verdict()
    if not found.usable:
        raise ConfigError(found.text)
    return credentials, "" if found.timely else found.text


class CertificateRenewal:
    """Looks after the files while corn serves; `tell` says a message to all workers."""

    def __init__(self, config: Config, vault: Vault | None, tell: Callable[[Message], None]) -> None:
        self._config = config
        self._vault = vault
        self._tell = tell
        self._stamps = FileStamps(config)
        for option, name in files_of(config):
            if not os.access(name, os.R_OK):
                logger.warning("%s: '%s' cannot be read any more: a renewed one needs a restart", flag_of(option), name)
                self._stamps.have_changed()
        self._examiner: CertificateChecker | None = None
        self._refusal = ""
        self._children: set[int] = set()  # examiners that have not been waited for
        self._next = time.monotonic() + _EVERY

    @property
    def next_at(self) -> float | None:
        """When the next look is due."""
        return None if self._vault is None else self._next

    def close(self) -> None:
        """Stop the examiners that are still there."""
        for pid in self._children:
            os.kill(pid, signal.SIGKILL)

    def ended(self, pid: int) -> bool:
        """Whether the process that ended was an examiner; what it said is read when it is looked for."""
        if pid not in self._children:
            return False
        self._children.remove(pid)
        return True

    def look(self, now: float) -> None:
        """Do what is due by now; never waits."""
        if self._vault is None or now < self._next:
            return
        if self._stamps.have_changed():
            self._begin(self._vault)
        elif self._refusal:
            logger.error("the certificates are not renewed, and those in use stay: %s", self._refusal)
            self._refusal = ""
        elif self._examiner is not None:
            self._conclude(self._vault, self._examiner)
        self._next = now + (_EVERY_WHILE_EXAMINED if self._examiner else _EVERY)

    def _begin(self, vault: Vault) -> None:
        self._refusal = ""
        self._let_go()
        try:
            credentials = read_credentials(self._config)
            if credentials != vault.load():
                self._examiner = CertificateChecker(self._config, credentials)
                self._children.add(self._examiner.pid)
        except (ConfigError, OSError) as error:
            self._refusal = str(error)

    def _conclude(self, vault: Vault, examiner: CertificateChecker) -> None:
        found = examiner.verdict()
        if found is None:
            return
        self._let_go()
        if found.usable and found.timely:
            vault.store(examiner.credentials)
            self._tell(RenewCredentials())
            logger.info("certificates renewed: %s", found.text)
        else:
            self._refusal = found.text

    def _let_go(self) -> None:
        if self._examiner is not None:
            self._examiner.close()
            self._examiner = None
            self.close()
