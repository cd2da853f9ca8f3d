"""Privilege drop: change to the configured user and group.

The master itself changes, for good, once it holds the resources that need root: listening sockets and the pidfile.
Templates, workers and all later processes start without privileges, and a fault in the master does not act as root
(decision 5 states the cost). Names are looked up, and the change is tried in a child that exits at once, before
anything is opened, so that errors are reported before any side effect.
"""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import sys
from collections.abc import Sequence
from pathlib import Path

from corn.config import Config
from corn.config.suggestions import did_you_mean
from corn.errors import ConfigError
from corn.frozen import frozen
from corn.net.listeners import Listener
from corn.system.ownership import chown_socket


@frozen
class ProcessUser:
    """User and group to change to. `account` is the user's passwd entry; None without one, or if no user is named.

    `label` names both in messages.
    """

    uid: int
    gid: int
    account: pwd.struct_passwd | None
    label: str

    @property
    def is_assumed(self) -> bool:
        """True if this process is that user and group already."""
        return (os.geteuid(), os.getegid()) == (self.uid, self.gid)


def identity_of(config: Config) -> ProcessUser | None:
    """Identity that options user and group name; None if neither is given. Raises ConfigError for an unknown name."""
    if config.user is None and config.group is None:
        return None
    account = None if config.user is None else _account(config.user)
    uid = os.geteuid() if config.user is None else account.pw_uid if account else int(config.user)
    if config.group is not None:
        gid = _group(config.group)
    elif account is not None:
        gid = account.pw_gid
    else:
        raise ConfigError(f"--user: {config.user} has no primary group; name one with --group")
    words = [f"{word} {name}" for word, name in (("user", config.user), ("group", config.group)) if name is not None]
    return ProcessUser(uid, gid, account, " and ".join(words))


def check_privileges(identity: ProcessUser, config: Config) -> None:
    """Try `drop_privileges` in a forked child; raises what it would raise."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            drop_privileges(identity, config)
        except ConfigError as error:
            os.write(writer, str(error).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        refusal = pipe.read().decode()
    os.waitpid(pid, 0)
    if refusal:
        raise ConfigError(refusal)


def chown_sockets(listeners: Sequence[Listener], identity: ProcessUser) -> None:
    """Give the files of Unix sockets to the user who serves them; raises ConfigError if that is refused."""
    for listener in listeners:
        if listener.path and not identity.is_assumed:
            try:
                chown_socket(listener.path, identity.uid, identity.gid)
            except OSError as error:
                raise ConfigError(f"{listener.path} cannot be given to {identity.label}: {error.strerror}") from None


def drop_privileges(identity: ProcessUser, config: Config) -> None:
    """Become that user and group with its supplementary groups, for good; HOME, USER and LOGNAME follow.

    Raises ConfigError where that is refused, or where the user cannot run the interpreter or read the application.
    """
    if not identity.is_assumed:
        try:
            _change(identity)
        except OSError as error:
            raise ConfigError(f"cannot become {identity.label}: {error.strerror}{_advice()}") from None
        if identity.account is not None:
            os.environ.update(HOME=identity.account.pw_dir, USER=identity.account.pw_name)
            os.environ["LOGNAME"] = identity.account.pw_name
    for path, mode, what in ((sys.executable, os.X_OK, "run"), (config.app_dir, os.R_OK | os.X_OK, "read")):
        if not os.access(path, mode):
            raise ConfigError(f"{identity.label} may not {what} {Path(path).absolute()}; change its permissions")


def _change(identity: ProcessUser) -> None:
    """Change groups first: without root they cannot be changed any more."""
    if identity.account is not None:
        os.initgroups(identity.account.pw_name, identity.gid)
    else:
        os.setgroups([identity.gid])
    os.setgid(identity.gid)
    os.setuid(identity.uid)


def _advice() -> str:
    return "" if os.geteuid() == 0 else "; start as root, or leave out --user and --group"


def _account(name: str) -> pwd.struct_passwd | None:
    """The entry of a user by name or number; None for a number without one."""
    with contextlib.suppress(KeyError):
        return pwd.getpwnam(name)
    if not name.isdigit():
        raise ConfigError(f"--user: there is no user '{name}'{did_you_mean(name, [e.pw_name for e in pwd.getpwall()])}")
    with contextlib.suppress(KeyError):
        return pwd.getpwuid(int(name))
    return None


def _group(name: str) -> int:
    with contextlib.suppress(KeyError):
        return grp.getgrnam(name).gr_gid
    if name.isdigit():
        return int(name)
    known = [entry.gr_name for entry in grp.getgrall()]
    raise ConfigError(f"--group: there is no group '{name}'{did_you_mean(name, known)}")
