"""`corn.Server`: an embedded server, in the running event loop or in a thread of its own.

    async with corn.Server(app, port=0) as server:    # in the running event loop
        print(server.addresses)

    with corn.Server(app, port=0) as server:          # in a thread of its own, with an event loop of its own
        print(server.addresses)

It handles no signals unless `signals` is set, and never exits the process. A server can only be started once.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from typing import TYPE_CHECKING, Any

from corn import logs
from corn.config.error_names import options_named_as_given
from corn.config.sources import DEFAULT
from corn.embedding.options import StrPath, application_of, resolve_embedded
from corn.embedding.process_log import process_log
from corn.embedding.signals import stop_on_signals
from corn.errors import ApplicationError, ConfigError
from corn.ipc.scoreboard import Scoreboard
from corn.net.listeners import Listener, open_listeners
from corn.server.server import Server as ServingCore
from corn.server.tls.context import ContextHook, TLSContexts
from corn.server.tls.renewal import auto_renewal, open_tls

if TYPE_CHECKING:
    import sys
    from collections.abc import Callable
    from types import TracebackType

    from corn.config.keywords import EmbeddedOptions

    if sys.version_info >= (3, 11):
        from typing import Self, Unpack
    else:
        from typing_extensions import Self, Unpack


class Server:
    """Embedded server of an application, an object or a name such as "main:app".

    It serves until it is stopped. `signals`: SIGINT and SIGTERM stop it, the second one at once; for the main thread.
    `ssl_context` serves HTTPS with a context of the program's own; a function is called as the hook of that name, to
    make the context for `ssl_certfile`. `config_file` names a file that fills in options that the call omits. Raises
    ConfigError.
    """

    def __init__(
        self,
        app: str | Callable[..., Any],
        *,
        signals: bool = False,
        ssl_context: ssl.SSLContext | ContextHook | None = None,
        config_file: StrPath | None = None,
        **options: Unpack[EmbeddedOptions],
    ) -> None:
        self._app, self._given = app, dict(options)
        self._signals = signals
        self._ssl_context = ssl_context if isinstance(ssl_context, ssl.SSLContext) else None
        self._ssl_hook = None if isinstance(ssl_context, ssl.SSLContext) else ssl_context
        self._resolved = resolve_embedded(app, self._given, config_file)
        self._config = self._resolved.config
        if self._ssl_hook is not None and not callable(self._ssl_hook):
            raise ConfigError(
                f"ssl_context is an ssl.SSLContext or a function, not of type {type(ssl_context).__name__}"
            )
        if self._ssl_hook is not None and not self._config.ssl_certfile:
            raise ConfigError("ssl_context is a function that makes the context of ssl_certfile; give that too")
        if self._ssl_context is not None and self._config.ssl_certfile:
            raise ConfigError("ssl_context and ssl_certfile cannot be combined; remove one")
        self._addresses: list[str] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._core: ServingCore | None = None
        self._closed: asyncio.Task[None] | None = None
        self._stop_requested = False
        self._thread: threading.Thread | None = None
        self._started_or_failed = threading.Event()  # ready, or failed
        self._failure: BaseException | None = None

    @property
    def addresses(self) -> list[str]:
        """Addresses of the server, as "http://127.0.0.1:8000" or "unix:/path"; empty before it has started."""
        return list(self._addresses)

    @property
    def ready(self) -> bool:
        """True if it accepts connections: from the end of `start` to the end of `stop`."""
        return self._closed is not None and not self._closed.done()

    async def start(self) -> None:
        """Start the application and accept connections; returns when it is ready.

        Raises ConfigError, BindError, or ApplicationError if the application does not start.
        """
        if self._loop is not None:
            raise RuntimeError("this corn.Server has been started before; make another one")
        self._loop = asyncio.get_running_loop()
        self._check_loop(self._loop)
        with (
            options_named_as_given(self._resolved.origins, in_call=True),
            contextlib.ExitStack() as resources,
        ):
            resources.enter_context(process_log(self._config, self._given))
            application = application_of(self._app, self._config)
            tls = open_tls(self._config, self._ssl_hook)
            if self._ssl_context is not None:
                tls = TLSContexts(self._config, self._ssl_context)
            listeners = open_listeners(self._config)
            for listener in listeners:
                resources.callback(listener.close)
                listener.scheme = "https" if tls is not None and not listener.redirects else "http"
            slots = Scoreboard.create()
            resources.callback(slots.close)
            core = self._make_core(application, listeners, slots, tls)
            await self._start_application(core)
            if self._signals:
                resources.enter_context(stop_on_signals(self._on_signal))
            resources.enter_context(auto_renewal(tls if self._ssl_context is None else None, self._config))
            core.accept()
            self._core = core
            self._addresses = [each.address for each in listeners if not each.redirects]
            logs.logger.info("%s", logs.announcement(self._config, self._addresses, "in this process"))
            kept = resources.pop_all()
        self._closed = self._loop.create_task(self._close_when_drained(core, kept), name="corn server")
        if self._stop_requested:
            self._drain(None)
        self._started_or_failed.set()

    async def stop(self, grace: float | None = None) -> None:
        """Stop accepting, finish in-flight requests within `grace` seconds, and return when all is closed.

        Without `grace` it is option timeout_graceful_shutdown; 0 cancels requests at once. Does nothing before the
        server has started and after it has stopped.
        """
        if self._loop is None or self._closed is None:
            return
        if self._loop is not asyncio.get_running_loop():
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self.stop(grace), self._loop))
            return
        self._drain(grace)
        await self.wait_closed()

    def stop_soon(self, grace: float | None = None) -> None:
        """Begin to stop, and return at once; for any thread, a signal handler, or a request of the application."""
        self._stop_requested = True
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the event loop is closed, and the server with it
                self._loop.call_soon_threadsafe(self._drain, grace)

    async def wait_closed(self) -> None:
        """Wait until the server has stopped; a cancellation stops it first, a second one without grace."""
        if self._closed is None:
            return
        try:
            await asyncio.shield(self._closed)
        except asyncio.CancelledError:
            self._drain(None)
            try:
                await asyncio.shield(self._closed)
            except asyncio.CancelledError:
                self._drain(0.0)
                await self._closed
            raise

    async def serve(self) -> None:
        """Start, and wait until the server has stopped."""
        await self.start()
        await self.wait_closed()

    def run(self) -> None:
        """Serve in this thread, with an event loop of its own (option loop), until the server has stopped."""
        from corn.embedding.own_loop import run_in_own_loop

        run_in_own_loop(self.serve, self._config.loop, "corn.Server.run", "await server.serve()")

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> None:
        await self.stop()

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._run_in_thread, name="corn server", daemon=True)
        self._thread.start()
        self._started_or_failed.wait()
        if self._failure is not None:
            self._thread.join()
            raise self._failure
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> None:
        self.stop_soon()
        if self._thread is not None:
            self._thread.join()

    def _run_in_thread(self) -> None:
        try:
            self.run()
        except BaseException as error:
            self._failure = error
        finally:
            self._started_or_failed.set()

    def _check_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        running = "uvloop" if type(loop).__module__.startswith("uvloop") else "asyncio"
        if self._resolved.origins["loop"] != DEFAULT and self._config.loop != running:
            raise ConfigError(f"loop: the running event loop is of {running}; leave loop out, or use corn.run")

    def _make_core(
        self, application: Any, listeners: list[Listener], slots: Scoreboard, tls: TLSContexts | None
    ) -> ServingCore:
        return ServingCore(
            application,
            self._config,
            [each.sock for each in listeners if not each.redirects],
            slots=slots,
            cell=0,
            tls=tls,
            redirecting=[each.sock for each in listeners if each.redirects],
            on_retire=lambda _: self._drain(None),
        )

    async def _start_application(self, core: ServingCore) -> None:
        limit = self._config.timeout_boot
        try:
            await asyncio.wait_for(core.start(), limit)
        except BaseException as error:
            core.drain(grace=0.0, final=True)
            await core.wait_closed()
            if isinstance(error, asyncio.TimeoutError):
                raise ApplicationError(f"the application did not start within timeout_boot ({limit:g} s)") from None
            raise

    async def _close_when_drained(self, core: ServingCore, resources: contextlib.ExitStack) -> None:
        with resources:
            await core.wait_closed()

    def _on_signal(self, again: bool) -> None:
        self.stop_soon(0.0 if again else None)

    def _drain(self, grace: float | None) -> None:
        if self._core is not None and self.ready:
            self._core.drain(grace=self._config.timeout_graceful_shutdown if grace is None else grace, final=True)
