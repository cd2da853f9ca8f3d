"""Application served for a test, with its log."""

from __future__ import annotations

import contextlib
import logging
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from corn import logs
from corn.embedding.server import Server
from corn.logs.formats import Source, TextFormatter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from corn.config.keywords import EmbeddedOptions

    if sys.version_info >= (3, 11):
        from typing import Self, Unpack
    else:
        from typing_extensions import Self, Unpack

_DEFAULTS: dict[str, Any] = {"log_level": "info", "timeout_graceful_shutdown": 2.0}
_STAMP = len("2026-01-01 00:00:00.000")


def serve(app: str | Callable[..., Any], **options: Unpack[EmbeddedOptions]) -> AppServer:
    """Return a server for `with` (in a thread) or `async with` (in the running event loop), on a free port.

    `options` are those of `corn.serve`. The grace period for in-flight requests is two seconds by default.
    """
    return AppServer(app, **options)


class AppServer:
    """An application that is served for a test. `url` is its address, `log` what was logged so far."""

    def __init__(self, app: str | Callable[..., Any], **options: Unpack[EmbeddedOptions]) -> None:
        self._app = app
        self._options: dict[str, Any] = {**_DEFAULTS, **options}
        if not {"port", "bind", "uds", "fd"} & self._options.keys():
            self._options["port"] = 0
        self._collector = _Collector()
        self._access: Path | None = None
        self._access_lines = ""
        self._resources = contextlib.ExitStack()
        self._server: Server | None = None

    @property
    def url(self) -> str:
        """First address, as "http://127.0.0.1:40123"."""
        return self.addresses[0]

    @property
    def addresses(self) -> list[str]:
        """All addresses."""
        return self._server.addresses if self._server is not None else []

    @property
    def log(self) -> str:
        """Lines of the log and of the access log, in the order of their times."""
        self._read_access_log()
        entries = [*self._collector.entries, *self._access_lines.splitlines()]
        return "\n".join(sorted(entries, key=lambda entry: entry[:_STAMP]))

    def __enter__(self) -> Self:
        with self._reporting():
            self._make_server().__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.__exit__(kind, error, frames)
        self._finish(error)

    async def __aenter__(self) -> Self:
        with self._reporting():
            await self._make_server().start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> None:
        assert self._server is not None
        try:
            await self._server.stop()
        finally:
            self._finish(error)

    def _make_server(self) -> Server:
        options = dict(self._options)
        if not {"access_log_file", "log_file"} & options.keys():
            directory = self._resources.enter_context(tempfile.TemporaryDirectory(prefix="corn-test-"))
            self._access = options["access_log_file"] = Path(directory, "access.log")
        logs.logger.addHandler(self._collector)
        self._resources.callback(logs.logger.removeHandler, self._collector)
        self._server = Server(self._app, **options)
        return self._server

    @contextlib.contextmanager
    def _reporting(self) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            self._finish(error)
            raise

    def _finish(self, error: BaseException | None) -> None:
        self._read_access_log()
        self._access = None
        self._resources.close()
        if error is not None:
            _report(error, self.log)

    def _read_access_log(self) -> None:
        if self._access is not None and self._access.exists():
            self._access_lines = self._access.read_text(encoding="utf-8", errors="replace")


def _report(error: BaseException, log: str) -> None:
    """Show the log beside an error that left the block: as its note, or on standard error, which pytest captures."""
    text = f"log of the corn server:\n{log}"
    if sys.version_info >= (3, 11):
        error.add_note(text)
    else:
        print(text, file=sys.stderr)


class _Collector(logging.Handler):
    """Keeps what corn logs, formatted as in a terminal."""

    def __init__(self) -> None:
        super().__init__()
        self.entries: list[str] = []
        self.setFormatter(TextFormatter(Source("corn"), color=False))

    def emit(self, record: logging.LogRecord) -> None:
        self.entries.append(self.format(record))
