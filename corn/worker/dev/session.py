"""What a worker of `corn dev` does besides serving: it notes what is imported, and tells when a debugger waits."""

from __future__ import annotations

import contextlib
import os
import sys
import termios
import time
from typing import Any

from corn.config import Config
from corn.config.addresses import TcpAddress, parse_address
from corn.diagnosis import text as terminal
from corn.diagnosis.diagnose import diagnose
from corn.errors import CornError
from corn.ipc.channel import Channel
from corn.ipc.messages import Debugging, Fork, Imported
from corn.ipc.template_setup import Setup
from corn.logs import logger, wants_color
from corn.server.asgi.allowed_hosts import with_allowed_hosts
from corn.server.asgi.types import ASGIApplication
from corn.system.paths import working_directory
from corn.worker.dev.error_pages import with_error_pages
from corn.worker.dev.import_hook import ProjectImporter
from corn.worker.dev.live_reload import with_refresh
from corn.worker.dev.start_progress import StartProgress, docs_path
from corn.worker.preload import Recorder

_LOOKS_EACH = 0.2  # seconds
_TYPING = frozenset({"builtins.input", "sys.settrace"})  # audit events


class DevSession:
    """Watches over the imports of one worker, from `begin` on."""

    def __init__(self, channel: Channel, root_path: str) -> None:
        self._channel = channel
        self._own = ProjectImporter()
        self._recorder = Recorder()
        self.loaded = False  # the application was imported
        self._root_path = root_path
        self._progress = StartProgress(channel)
        self._told = False  # that somebody types

    def begin(self) -> None:
        self._own.install()
        sys.meta_path.insert(0, self._recorder)
        self._debugger = sys.breakpointhook
        sys.breakpointhook = self._debug
        self._progress.begin()
        if os.isatty(0):
            sys.addaudithook(self._audit)

    def started(self, application: Any) -> str:
        """Note that the application has started; returns the path of its documentation, "" where none is known."""
        self._progress.end()
        return docs_path(application, self._root_path)

    def report(self) -> None:
        """Tell the master what was imported so far, and listen no more."""
        sys.meta_path.remove(self._recorder)
        libraries = [[name, _file_of(name)] for name in self._recorder.library_modules()]
        own = [[name, file, self._own.seconds.get(name, 0.0)] for name, file in self._own.files.items()]
        self._channel.send(Imported(libraries, own))

    def diagnose(self, error: CornError) -> dict[str, Any]:
        """The failure of a boot as JSON."""
        return diagnose(error, starting=self.loaded).to_json()

    def _audit(self, event: str, args: object) -> None:
        """Notice debuggers that are not started by `breakpoint()`, and `input`: the master must not read their keys."""
        del args
        if event in _TYPING and not self._told:
            self._keyboard_needed()
            show_typing()

    def _keyboard_needed(self) -> None:
        self._told = True
        self._channel.send(Debugging())

    def _debug(self, *args: Any, **kwargs: Any) -> Any:
        """What `breakpoint()` calls: no deadline holds while a person thinks, and what is typed is shown."""
        self._keyboard_needed()
        wait_for_foreground()
        show_typing()
        if args or kwargs or os.environ.get("PYTHONBREAKPOINT"):
            return self._debugger(*args, **kwargs)
        import pdb  # noqa: T100 - what breakpoint() means

        # pdb.set_trace would take this function for the place that asked for it, and later each Ctrl-C for a wish.
        return pdb.Pdb(nosigint=True).set_trace(sys._getframe(1))


def wrapped(app: ASGIApplication, setup: Setup, config: Config, order: Fork) -> ASGIApplication:
    """The application as developers see it: with error pages and live reload, and for their own hosts alone.

    Error pages show source code, and pages hold the token of live reload.
    """
    if order.failure is None:
        app = with_error_pages(app)
    if setup.refresh:
        app = with_refresh(app, setup.refresh, order.revision, root=config.root_path, failed=order.failure is not None)
    addresses = [parse_address(each) for each in config.bind]
    named = [each.host for each in addresses if isinstance(each, TcpAddress)]
    return with_allowed_hosts(app, [config.host, *named, *config.allow_host], option="--allow-host")


def described(error: BaseException, config: Config) -> str:
    """An exception of a request, as the log of a developer holds it: short, and the project's own frames first."""
    return terminal.frames(diagnose(error), color=wants_color(config.color), directory=working_directory())


def wait_for_foreground() -> None:
    """Wait, as a stopped job does (SIGTTIN), while corn is in the background, where nobody can type."""
    if not os.isatty(0):
        return
    told = False
    while is_in_background():
        if not told:
            logger.warning("a debugger waits; bring corn to the foreground with 'fg'")
            told = True
        time.sleep(_LOOKS_EACH)


def is_in_background() -> bool:
    """Whether another process group has the terminal."""
    with contextlib.suppress(OSError):
        return os.tcgetpgrp(0) != os.getpgrp()
    return False


def show_typing() -> None:
    """Have the terminal echo what is typed and hand it over line by line, whatever the last debugger left behind."""
    if not os.isatty(0):
        return
    with contextlib.suppress(termios.error):  # the terminal is gone
        settings = termios.tcgetattr(0)
        settings[3] |= termios.ECHO | termios.ICANON | termios.ISIG
        termios.tcsetattr(0, termios.TCSANOW, settings)


def _file_of(name: str) -> str:
    return getattr(sys.modules.get(name), "__file__", None) or ""
