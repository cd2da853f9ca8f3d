"""ASGI request/response cycle: calls the application and enforces the order of its messages.

This is the part of ASGI that does not depend on the version of HTTP. Subclasses of `RequestCycle` write the response:
`http1/response.py` and `http2/response.py`.

A response passes through stages, each a table of the message types that are allowed:

    START  http.response.start  -> BODY
    BODY   http.response.body   -> BODY while more_body, else DONE
    DONE   nothing

and more in `extensions`. Any other message raises an exception in the application that names it and the allowed types.
The head is written together with the first part of the body, as the specification requires ("HTTP", "Response Start").
Until then every failure can still become a 500, also an invalid header or a body that contradicts its Content-Length.

`feed` receives the body of the request, and a future is made only if the application has to wait for it. There are two
states of disconnection, because a peer may close only its sending side: `ended` (no more input, so `receive` returns
http.disconnect) and `gone` (no more output either, so `send` raises as well).
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping
from time import monotonic
from typing import Any, ClassVar, TypeAlias

from corn.diagnosis.user_traceback import in_one_line
from corn.logs import logger
from corn.server.access_log.formats import escaped
from corn.server.asgi.scope import Address
from corn.server.asgi.types import ASGIApplication, ClientDisconnected, Message
from corn.server.context import ServerContext
from corn.server.http.errors import plain_response
from corn.server.http.head import RequestHead
from corn.server.http.response_fields import (
    ENCODED_FIELDS,
    NO_BODY,
    STATUS_LINES,
    TRAILERS,
    encode_fields,
    status_line,
    without_length,
)
from corn.server.request_id import FIELD, request_id
from corn.server.typing import HTTPStream
from corn.server.write_buffer import WaiterList

Stage: TypeAlias = Mapping[str, Callable[[Any, Message], Awaitable[None] | None]]
DONE: Stage = {}
HOLD_LIMIT = 65536  # bytes of a body held for an application that does not read them


class RequestCycle:
    """ASGI cycle of one HTTP request and its response."""

    # Initial values that most requests do not use are class attributes, so that they are not set for each request. The
    # others are set by `__init__`: CPython learns the attributes of a class from its first instances, and is slow with
    # those that come later. In a worker that begins with a burst, a response would set its attributes too late.
    arriving = False  # more of the body is to come
    ended = False
    refused = False  # corn itself has ended the request, so that what is lost then is not the peer's doing
    _body: bytes | bytearray = b""  # the latter where it came in parts: the peer chooses how small they are
    _given = False  # the last http.request message was passed on
    task: asyncio.Task[None]
    keep_alive = True
    ends_with_connection = False  # the end of the response is marked by closing the connection
    cut = ""  # why corn cancelled the task, if it did
    expires = math.inf  # on `Clock.now`; only where requests are limited in time

    def __init__(
        self, service: ServerContext, connection: HTTPStream, head: RequestHead, scope: dict[str, Any]
    ) -> None:
        self.service = service
        self.connection = connection
        self.head = head
        self.scope = scope
        if not head.keep_alive:
            self.keep_alive = False
        self.started_at = monotonic()
        self.gone = False
        self.committed = False  # the head of the response is written
        self.responded = False  # the response is complete
        self.lost = False  # the peer left before the response had left corn's buffers
        self.status = 0  # of the response, once the application has started it
        self.sent = 0  # bytes of the response's body
        self._stage = self.START
        self._waiters: WaiterList | None = None
        self._line = self._block = b""
        self._remaining = -1  # of the announced length
        self._flags = 0
        limit = service.timeout_request
        if limit is not None:
            self.expires = service.clock.now + limit

    def begin(self) -> None:
        """Call the application in a task of its own."""
        service = self.service
        service.running.add(self)
        self.task = service.create_task(self.run(service.app))

    @property
    def client(self) -> Address:
        """Client of the request, as a trusted proxy says."""
        client: Address = self.scope["client"]
        return client

    @property
    def streams(self) -> bool:
        """True if an HTTP response has begun whose length was not announced."""
        return self.committed and self._remaining < 0 and not self.responded and self.scope["type"] == "http"

    def cancel(self, why: str) -> None:
        """Cancel the application's task; a request without a response yet gets 503."""
        if not self.cut:
            self.cut, self.refused = why, True
            self.task.cancel()

    @property
    def has_ended(self) -> bool:
        """True if the application's task has ended."""
        return self.task.done()

    async def run(self, app: ASGIApplication) -> None:
        """Call the application; if it does not complete the response, send an error or break the response off."""
        service = self.service
        try:
            await app(self.scope, self.receive, self.send)
            if not self.responded:
                self._unfinished()
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            self._failed(error)
        finally:
            service.running.discard(self)

    # The request

    async def receive(self) -> Message:
        """ASGI `receive`: the next part of the body; then waits for the disconnect or the end of the response."""
        if not (self._given or self.responded):
            if self.arriving and not self._body:
                await self._wait_for_body()
            if self._body or not self.arriving:
                return self._give_body()
        while not (self.ended or self.responded):
            await self._wait()
        return {"type": "http.disconnect"}

    def feed(self, body: bytes, arriving: bool) -> bool:
        """Take a part of the body; returns True if reading should stop until the application has received it."""
        if body:
            held = self._body
            if not held:
                self._body = body
            elif type(held) is bytearray:
                held += body
            else:
                self._body = bytearray().join((held, body))
            self.head.expects_continue = False
        self.arriving = arriving
        self.wake()
        return len(self._body) > HOLD_LIMIT

    def half_closed(self) -> None:
        """Record that the peer sends no more, but may still read."""
        self.ended = True
        self.wake()

    def disconnect(self) -> None:
        """Record that the peer has disconnected."""
        self.ended = self.gone = True
        self.wake()

    def wake(self) -> None:
        """Wake the callers that wait in `receive`."""
        if self._waiters is not None:
            self._waiters.wake()

    async def _wait_for_body(self) -> None:
        if self.head.expects_continue and not (self.committed or self.ended):
            self.head.expects_continue = False
            self.connection.send_continue()
        while self.arriving and not (self._body or self.ended or self.responded):
            await self._wait()

    def _give_body(self) -> Message:
        body, self._body = self._body, b""
        if self.arriving:
            self.connection.resume_body()
        else:
            self._given = True
        return {"type": "http.request", "body": bytes(body), "more_body": self.arriving}

    def _wait(self) -> asyncio.Future[None]:
        if self._waiters is None:
            self._waiters = WaiterList()
        return self._waiters.wait()

    # The response

    async def send(self, message: Message) -> None:
        """ASGI `send`: takes one message of the response; waits while the peer reads too slowly."""
        handler = self._stage.get(message["type"])
        if handler is None:
            raise self._out_of_order(message["type"])
        if self.gone or (self.committed and self.connection.transport.is_closing()):
            raise ClientDisconnected
        waiting = handler(self, message)
        if waiting is not None:
            await waiting
        elif self.connection.write_paused:
            await self.connection.drained()

    def _take_start(self, message: Message) -> None:
        status, headers = message["status"], message.get("headers", ())
        self._line = STATUS_LINES.get(status) or status_line(status)
        if status == 204:
            headers = without_length(headers)
        fields = tuple(headers)
        try:
            self._block, self._remaining, self._flags = ENCODED_FIELDS[fields]
        except TypeError:  # fields that are lists, or hold other types than bytes
            self._block, self._remaining, self._flags = encode_fields(fields)
        if status in (204, 304):
            self._flags |= NO_BODY
        if message.get("trailers", False):
            self._flags |= TRAILERS
        self.status = status
        self._stage = self.BODY

    def _take_body(self, message: Message) -> None:
        body, more = message.get("body", b""), message.get("more_body", False)
        if type(body) is not bytes:
            body = bytes(body)
        if self.committed:
            self._write_body(body, more)
        else:
            self._write_first(body, more)
        if not more:
            if self._flags & TRAILERS:
                self._stage = self.TRAILERS
            else:
                self._finish()

    def _write_first(self, body: bytes, more: bool) -> None:
        """Write the head with the first part of the body."""
        raise NotImplementedError

    def _write_body(self, body: bytes, more: bool) -> None:
        """Write a further part of the body; raises if it contradicts the Content-Length."""
        raise NotImplementedError

    def _check_length(self, size: int, more: bool) -> None:
        if size > self._remaining:
            raise RuntimeError("the response body is longer than its Content-Length")
        if size < self._remaining and not more:
            raise RuntimeError("the response body is shorter than its Content-Length")

    START: ClassVar[Stage] = {"http.response.start": _take_start}
    BODY: ClassVar[Stage] = {"http.response.body": _take_body}
    TRAILERS: ClassVar[Stage] = DONE

    def _finish(self) -> None:
        self._stage = DONE
        self.responded = True
        if self._waiters is not None:
            self._waiters.wake()
        self.connection.finished(self)

    # Errors

    def _out_of_order(self, sent: str) -> RuntimeError:
        allowed = " or ".join(f"'{each}'" for each in self._stage) or "nothing, since the response is complete"
        return RuntimeError(f"the application sent '{sent}' where the specification allows {allowed}")

    def _unfinished(self) -> None:
        if self.ended:  # the application has received http.disconnect, and returned
            self.lost = not self.refused
            self.connection.abort_response(self)
            self._finish()
            return
        did = "without completing the response" if self.status else "without sending a response"
        logger.error("%s: the application returned %s", self._name(), did)
        self._fail(500)

    def _failed(self, error: BaseException) -> None:
        if self.cut:
            logger.warning("%s was cancelled: %s", self._name(), self.cut)
        elif _is_disconnection(error):
            self.lost = not self.refused
        else:
            what = in_one_line(f"{type(error).__name__}: {error}".rstrip(": "))
            logger.error("%s failed with %s\n%s", self._name(), what, self.service.describe(error))
        self._fail(503 if self.cut else 500)

    def _name(self) -> str:
        name = f"{self.head.method} {escaped(self.head.target.partition(b'?')[0])}"
        is_named = self.service.request_ids is not None
        return f"{name} ({request_id(self.head.headers).decode()})" if is_named else name

    def _fail(self, status: int) -> None:
        """Answer with `status` if the response has not begun; else abort it so that the peer can detect that."""
        if self.responded:
            return
        if self.gone or self.committed:
            self.connection.abort_response(self)
            self._finish()
            return
        if status == 503:
            self.keep_alive = False
        headers, body = plain_response(status)
        if self.service.request_ids is not None:
            headers.append((FIELD, request_id(self.head.headers)))
        self._take_start({"type": "http.response.start", "status": status, "headers": headers})
        self._take_body({"type": "http.response.body", "body": body})

    @property
    def response_fields(self) -> bytes:
        """Field lines of the response that the application has set."""
        return self._block


def _is_disconnection(error: BaseException | None, depth: int = 16) -> bool:
    """True if `error` comes from sending to a disconnected peer; for a group, if all of its errors do."""
    while error is not None and depth:
        if isinstance(error, ClientDisconnected):
            return True
        # A BaseExceptionGroup, of Python 3.11 or of the backport that anyio uses before.
        group = getattr(error, "exceptions", None)
        if isinstance(group, tuple) and group:
            return all(_is_disconnection(each, depth - 1) for each in group)
        error, depth = error.__cause__ or error.__context__, depth - 1
    return False
