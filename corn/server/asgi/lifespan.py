"""Lifespan of the application (the lifespan specification of ASGI, 2.0).

With `auto`, an application that raises before its first `receive` has no lifespan, as the specification defines. One
that raises after it has received `lifespan.startup` has failed to start, and is not served.
"""

from __future__ import annotations

import asyncio
from typing import Any

from corn.diagnosis.user_traceback import user_traceback
from corn.errors import ApplicationError
from corn.logs import logger
from corn.server.asgi.drain_event import DRAIN, DrainEvent
from corn.server.asgi.types import LIFESPAN_SPEC, ASGIApplication, Message


class Lifespan:
    """Lifespan of an application, run in a task of its own from `startup` to `shutdown`."""

    def __init__(self, app: ASGIApplication, mode: str, drain: DrainEvent) -> None:
        self.state: dict[str, Any] = {}
        self._app = app
        self._mode = mode
        self._drain = drain
        self._task: asyncio.Task[None] | None = None
        self._incoming: asyncio.Queue[Message] = asyncio.Queue()
        self._received = False
        self._started: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._stopped: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def is_running(self) -> bool:
        """True if the application has a lifespan that is running."""
        return self._task is not None

    async def startup(self) -> None:
        """Wait until the application has started; raises ApplicationError if it did not."""
        if self._mode == "off":
            return
        self._incoming.put_nowait({"type": "lifespan.startup"})
        self._task = asyncio.create_task(self._run(), name="lifespan")
        if not await self._started:
            self._task = None

    async def shutdown(self, timeout: float) -> None:
        """Shut the application down, for at most `timeout` seconds; a failure is logged."""
        if self._task is None:
            return
        self._incoming.put_nowait({"type": "lifespan.shutdown"})
        await asyncio.wait([self._task, self._stopped], timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        if not self._task.done() and not self._stopped.done():
            logger.error("the application's lifespan did not shut down within %g seconds", timeout)
        self._task.cancel()
        await asyncio.wait([self._task], timeout=1)

    async def _run(self) -> None:
        extensions = {DRAIN: self._drain.extension()}
        scope = {"type": "lifespan", "asgi": LIFESPAN_SPEC.copy(), "state": self.state, "extensions": extensions}
        try:
            await self._app(scope, self._receive, self._send)
        except asyncio.CancelledError:
            self._ended(None)
        except (Exception, SystemExit) as error:
            self._ended(error)
        else:
            self._ended(None)

    async def _receive(self) -> Message:
        self._received = True
        return await self._incoming.get()

    async def _send(self, message: Message) -> None:
        kind, text = message["type"], str(message.get("message", ""))
        if kind == "lifespan.startup.complete" and not self._started.done():
            self._started.set_result(True)
        elif kind == "lifespan.startup.failed" and not self._started.done():
            self._started.set_exception(_startup_failed(text))
        elif kind in ("lifespan.shutdown.complete", "lifespan.shutdown.failed") and not self._stopped.done():
            if kind == "lifespan.shutdown.failed":
                logger.error("the application's lifespan failed to shut down\n%s", text)
            self._stopped.set_result(None)
        else:
            raise RuntimeError(f"the application sent '{kind}', which is out of order in its lifespan")

    def _ended(self, error: BaseException | None) -> None:
        """Handle the end of the lifespan: the application has returned or raised."""
        if self._started.done():
            if error is not None and not self._is_known(error):
                logger.error("the application's lifespan failed\n%s", user_traceback(error))
        elif self._mode == "auto" and not self._received:
            logger.debug("the application has no lifespan")
            self._started.set_result(False)
        elif error is None:
            self._started.set_exception(ApplicationError("the application's lifespan returned before it had started"))
        else:
            what = f"{type(error).__name__}: {error}".rstrip(": ")
            failed = ApplicationError(f"the application's lifespan failed to start: {what}", user_traceback(error))
            failed.__cause__ = error
            self._started.set_exception(failed)

    def _is_known(self, error: BaseException) -> bool:
        """True if `lifespan.startup.failed` has reported the error before it was raised, as in Starlette."""
        failed = None if self._started.cancelled() else self._started.exception()
        if failed is None or failed.__cause__ is not None:
            return False
        failed.__cause__ = error
        return True


def _startup_failed(text: str) -> ApplicationError:
    lines = text.strip().splitlines()
    message = "the application's lifespan failed to start"
    detail = text.strip() if len(lines) > 1 else ""
    return ApplicationError(f"{message}: {_raised(lines)}" if lines else message, detail)


def _raised(lines: list[str]) -> str:
    """The line that names the exception: the first after the last frame, as messages may have further lines."""
    last_frame = max((number for number, line in enumerate(lines) if line.startswith("  File ")), default=-1)
    rest = [line for line in lines[last_frame + 1 :] if not line.startswith(" ")]
    return rest[0] if last_frame >= 0 and rest else lines[-1]
