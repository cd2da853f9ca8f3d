"""Development interface of a worker: the differences of `corn dev`, and the null object for `corn serve`.

It is the only module that imports corn/worker/dev: a worker of `corn serve` loads nothing of it.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from corn.diagnosis.user_traceback import user_traceback
from corn.errors import CornError
from corn.server.asgi.types import ASGIApplication
from corn.system.paths import library_roots

if TYPE_CHECKING:
    from corn.config import Config
    from corn.ipc.channel import Channel
    from corn.ipc.messages import Fork
    from corn.ipc.template_setup import Setup
    from corn.worker.dev.session import DevSession


class Development(Protocol):
    """Session of `corn dev` in one worker."""

    def enable_collection(self, enable: Callable[[], None]) -> None:
        """Enable the garbage collector, now or when the application has started."""
        ...

    def application(self, load: Callable[[], Any]) -> Any:
        """Application that `load` returns, or the responder that is served instead."""
        ...

    def started(self, application: Any, loop: asyncio.AbstractEventLoop, flush: Callable[[], None]) -> str:
        """Record that the worker serves; returns the path of the application's documentation, "" for none.

        `flush` writes the messages that are sent on the channel from now on.
        """
        ...

    def failure_of(self, error: CornError) -> dict[str, Any] | None:
        """Report of a failed start, as JSON."""
        ...

    def wrap(self, app: ASGIApplication) -> ASGIApplication:
        """The application with the middleware of `corn dev`."""
        ...

    def describe(self, error: BaseException) -> str:
        """Format an exception of a request for the log."""
        ...


class NoDevelopment:
    """Null object for `corn serve`."""

    def enable_collection(self, enable: Callable[[], None]) -> None:
        enable()

    def application(self, load: Callable[[], Any]) -> Any:
        return load()

    def started(self, application: Any, loop: asyncio.AbstractEventLoop, flush: Callable[[], None]) -> str:
        del application, loop, flush
        return ""

    def failure_of(self, error: CornError) -> dict[str, Any] | None:
        del error
        return None

    def wrap(self, app: ASGIApplication) -> ASGIApplication:
        return app

    def describe(self, error: BaseException) -> str:
        return user_traceback(error)


def develop(setup: Setup, config: Config, order: Fork, channel: Channel) -> DevSession:
    """The session of a worker of `corn dev`."""
    from corn.worker.dev.session import DevSession

    return DevSession(setup, config, order, channel)


def import_for_development() -> None:
    """Load the additional modules of `corn dev` workers ahead of time, so that reloads do not wait for them."""
    for name in ("corn.worker.dev.session", "corn.diagnosis.html"):
        importlib.import_module(name)
    library_roots()
