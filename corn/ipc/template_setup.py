"""Setup of a template: the data that the master passes when it executes one."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import field
from typing import Any

from corn.config import Config
from corn.frozen import fields_of, frozen
from corn.system.memfd import anonymous_file


@frozen
class Setup:
    """Setup that a template receives when it is executed. The numbers are inherited descriptors, or process ids.

    It is passed as JSON in an unnamed file, because argument lists are limited and a template that steps down passes
    itself a longer setup. `development` is True for `corn dev`; then `refresh` is the URL of live reload, "" for none,
    and `mailbox` are the two ends of the mailbox through which workers hand over connections. `argv` is the sys.argv of
    the application: the command line of the master.

    `preload` is the mode to try, and `strict` is True if the user has set it. `modules` are those of mode deps, if
    known. `relay`: the template stays the parent of its workers and reports their exits. `redirecting` are plain-text
    listeners that redirect to HTTPS, and `vault` has the credentials for HTTPS (corn/tls/vault.py).

    Without `forks` the template spawns its workers: a spawned one has the fields of its Fork message in `order`, and
    the descriptors that came with it in `received`.
    """

    generation: int
    config: dict[str, Any]
    preload: str
    strict: bool
    channel: int
    listeners: list[int]
    slots: int
    master: int
    relay: bool
    argv: list[str] = field(default_factory=lambda: [*sys.argv])
    modules: list[str] = field(default_factory=list)
    redirecting: list[int] = field(default_factory=list)
    vault: int | None = None
    development: bool = False
    refresh: str = ""
    mailbox: list[int] = field(default_factory=list)
    forks: bool = True
    order: dict[str, Any] | None = None
    received: list[int] = field(default_factory=list)

    @property
    def inherited(self) -> list[int]:
        """All inherited descriptors."""
        vault = [] if self.vault is None else [self.vault]
        return [self.channel, self.slots, *self.listeners, *self.redirecting, *self.mailbox, *vault, *self.received]

    def write(self) -> int:
        """Write to an unnamed file and return its descriptor, positioned at the start and inheritable."""
        fd = anonymous_file("corn-setup")
        with os.fdopen(os.dup(fd), "wb") as file:
            file.write(json.dumps(fields_of(self)).encode())
        os.lseek(fd, 0, os.SEEK_SET)
        os.set_inheritable(fd, True)
        return fd

    @classmethod
    def read(cls, fd: int) -> Setup:
        """Read what `write` wrote, and close it."""
        with os.fdopen(fd, "rb") as file:
            return cls(**json.loads(file.read()))

    def parsed_config(self) -> Config:
        return Config.from_json(self.config)
