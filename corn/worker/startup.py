"""Startup of a worker: the state that a worker process receives from its template."""

from __future__ import annotations

import os
import socket
from dataclasses import field, replace
from typing import TYPE_CHECKING, Any

from corn.config import Config
from corn.errors import HooksError
from corn.frozen import frozen
from corn.hooks import WorkerInfo
from corn.ipc.channel import Channel
from corn.ipc.messages import Fork
from corn.ipc.scoreboard import Scoreboard
from corn.ipc.template_setup import Setup
from corn.logs import logger
from corn.server.tls.context import TLSContexts
from corn.tls.vault import Vault
from corn.worker.audit.import_monitor import ImportMonitor
from corn.worker.hooks.loader import HookFile
from corn.worker.in_development import Development, NoDevelopment, develop

if TYPE_CHECKING:
    from corn.server.connection_handoff import ConnectionHandoff


@frozen
class WorkerStartup:
    """State that a worker starts with. `application` is None if the template did not load it.

    `monitor` has observed the import in the template, and `loaded_at` is its end, by `exit_handlers.file_clock`.
    `report` is the descriptor of the file for its stacks. `development` and `mailbox` serve `corn dev`.
    """

    setup: Setup
    config: Config
    order: Fork
    channel: Channel
    report: int
    listeners: list[socket.socket]
    redirecting: list[socket.socket]
    slots: Scoreboard
    application: Any
    hooks: HookFile
    monitor: ImportMonitor
    loaded_at: int
    vault: Vault | None
    tls: TLSContexts | None
    development: Development = field(default_factory=NoDevelopment)
    mailbox: ConnectionHandoff | None = None

    def call_hook(self, hook: str) -> None:
        """Call a hook for this worker."""
        self.hooks.run(hook, WorkerInfo(self.order.slot, self.setup.generation, os.getpid()))

    def renew_credentials(self) -> None:
        """Use the certificates in the vault: they may have changed since the template was loaded.

        If a hook fails for them, the current ones stay in use.
        """
        if self.tls is not None and self.vault is not None:
            try:
                self.tls.renew(self.vault.load())
            except HooksError as error:
                logger.error(
                    "certificate renewal failed, keeping the current certificates: %s\n%s", error, error.detail
                )


def in_development(startup: WorkerStartup) -> WorkerStartup:
    """The same for a worker of `corn dev`."""
    session = develop(startup.setup, startup.config, startup.order, startup.channel)
    return replace(startup, config=session.config, mailbox=session.mailbox, development=session)
