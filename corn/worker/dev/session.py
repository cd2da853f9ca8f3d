"""Development session of a worker: imports, error pages and live reload, and debuggers."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import sys
import termios
import time
from collections.abc import Callable
from typing import Any

from corn.config import Config
from corn.config.addresses import TcpAddress, parse_address
from corn.diagnosis import text as terminal
from corn.diagnosis.diagnose import diagnose
from corn.diagnosis.failure import Failure
from corn.errors import CornError
from corn.ipc.channel import Channel
from corn.ipc.messages import Debugging, Fork, Imported
from corn.ipc.template_setup import Setup
from corn.logs import logger, wants_color
from corn.server.asgi.allowed_hosts import with_allowed_hosts
from corn.server.asgi.types import ASGIApplication
from corn.server.connection_handoff import ConnectionHandoff
from corn.system.paths import working_directory
from corn.worker.dev.error_pages import config_of_responder, responder, with_error_pages
from corn.worker.dev.import_hook import ProjectImporter
from corn.worker.dev.live_reload import with_refresh
from corn.worker.dev.start_progress import StartProgress, docs_path
from corn.worker.dev.verify_reload import verify_in_background
from corn.worker.preload import Recorder

_REPORT_DELAY = 0.2  # seconds
_CHECK_INTERVAL = 0.2  # seconds
_INPUT_EVENTS = frozenset({"builtins.input", "sys.settrace"})  # audit events


class DevSession:
    """The `Development` of a worker of `corn dev`, whether it serves the application or the reason why it cannot."""

    def __init__(self, setup: Setup, config: Config, order: Fork, channel: Channel) -> None:
        self._failure = None if order.failure is None else Failure.from_json(order.failure)
        self.config = config if self._failure is None else config_of_responder(config)
        self.mailbox = ConnectionHandoff(*setup.mailbox)
        self._setup = setup
        self._revision = order.revision
        self._channel = channel
        self._importer = ProjectImporter()
        self._recorder = Recorder()
        self._progress = StartProgress(channel)
        self._loaded = False  # the application was imported
        self._reads_keyboard = False  # the keyboard is in use here, which was reported to the master

    def enable_collection(self, enable: Callable[[], None]) -> None:
        """Enable the collector for a responder; otherwise `_report` enables it, after the imports."""
        if self._failure is not None:
            enable()

    def application(self, load: Callable[[], Any]) -> Any:
        if self._failure is not None:
            return responder(self._failure)
        self._importer.install()
        sys.meta_path.insert(0, self._recorder)
        self._debugger = sys.breakpointhook
        sys.breakpointhook = self._debug
        self._progress.begin()
        if os.isatty(0):
            sys.addaudithook(self._audit)
        application = load()
        self._loaded = True
        return application

    def started(self, application: Any, loop: asyncio.AbstractEventLoop, flush: Callable[[], None]) -> str:
        if self._failure is not None:
            return ""
        self._progress.end()
        loop.call_later(_REPORT_DELAY, self._report, flush)
        return docs_path(application, self.config.root_path)

    def _report(self, flush: Callable[[], None]) -> None:
        """Report the imported modules to the master, without waiting for a reply."""
        gc.enable()
        sys.meta_path.remove(self._recorder)
        libraries = [[name, _file_of(name)] for name in self._recorder.library_modules()]
        own = [[name, file, self._importer.seconds.get(name, 0.0)] for name, file in self._importer.files.items()]
        self._channel.send(Imported(libraries, own))
        flush()
        if self.config.verify_reload and self._setup.modules:
            verify_in_background(self.config)

    def failure_of(self, error: CornError) -> dict[str, Any] | None:
        return None if self._failure is not None else diagnose(error, starting=self._loaded).to_json()

    def wrap(self, app: ASGIApplication) -> ASGIApplication:
        """Wrap the application in error pages and live reload, and restrict it to local hosts.

        Error pages show source code, and pages contain the token of live reload.
        """
        config, failed = self.config, self._failure is not None
        if not failed:
            app = with_error_pages(app)
        if self._setup.refresh:
            app = with_refresh(app, self._setup.refresh, self._revision, root=config.root_path, failed=failed)
        addresses = [parse_address(each) for each in config.bind]
        named = [each.host for each in addresses if isinstance(each, TcpAddress)]
        return with_allowed_hosts(app, [config.host, *named, *config.allow_host], option="--allow-host")

    def describe(self, error: BaseException) -> str:
        """A short traceback, with the project's own frames first."""
        color = wants_color(self.config.color)
        return terminal.frames(diagnose(error), color=color, directory=working_directory())

    def _audit(self, event: str, args: object) -> None:
        """Detect `input` and debuggers without `breakpoint()`, because the master must not read their keys."""
        del args
        if event in _INPUT_EVENTS and not self._reads_keyboard:
            self._report_keyboard_use()
            enable_echo()

    def _report_keyboard_use(self) -> None:
        self._reads_keyboard = True
        self._channel.send(Debugging())

    def _debug(self, *args: Any, **kwargs: Any) -> Any:
        """Hook of `breakpoint()`: suspends timeouts while the debugger waits, and echoes typed input."""
        self._report_keyboard_use()
        wait_for_foreground()
        enable_echo()
        if args or kwargs or os.environ.get("PYTHONBREAKPOINT"):
            return self._debugger(*args, **kwargs)
        import pdb  # noqa: T100 - as breakpoint()

        # pdb.set_trace would stop in this function rather than in its caller, and later at each Ctrl-C.
        return pdb.Pdb(nosigint=True).set_trace(sys._getframe(1))


def wait_for_foreground() -> None:
    """Wait, as a stopped job does (SIGTTIN), while corn is in the background and cannot read the terminal."""
    if not os.isatty(0):
        return
    reported = False
    while is_in_background():
        if not reported:
            logger.warning("a debugger waits; bring corn to the foreground with 'fg'")
            reported = True
        time.sleep(_CHECK_INTERVAL)


def is_in_background() -> bool:
    """True if another process group has the terminal."""
    with contextlib.suppress(OSError):
        return os.tcgetpgrp(0) != os.getpgrp()
    return False


def enable_echo() -> None:
    """Switch the terminal to echo and canonical mode, which an earlier debugger may have changed."""
    if not os.isatty(0):
        return
    with contextlib.suppress(termios.error):  # the terminal is gone
        settings = termios.tcgetattr(0)
        settings[3] |= termios.ECHO | termios.ICANON | termios.ISIG
        termios.tcsetattr(0, termios.TCSANOW, settings)


def _file_of(name: str) -> str:
    return getattr(sys.modules.get(name), "__file__", None) or ""
