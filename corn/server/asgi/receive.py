"""The request's side of a cycle: the body as it arrives, and `receive`.

A future is made only when the application has to wait. Two ends are told apart, because a peer that has closed its
sending side looks, at first, like one that is gone: `ended` (nothing more comes, so `receive` says http.disconnect) and
`gone` (nothing reaches it any more, so `send` raises too).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from corn.server.asgi.types import Message
from corn.server.http.head import RequestHead

if TYPE_CHECKING:
    from corn.server.asgi.stream import HTTPStream

HOLD_LIMIT = 65536  # bytes of a body held for an application that does not read them


class RequestReceiver:
    """A request as the application receives it."""

    # What holds for most requests is said here, so that it need not be said for each.
    arriving = False  # more of the body is to come
    ended = False
    gone = False
    committed = False  # the head of the response is written
    responded = False  # the response is complete
    status = 0  # of the response, once the application has started it
    started_at = 0.0  # monotonic time
    _body = b""
    _given = False  # the last http.request was
    _waiters: list[asyncio.Future[None]] | None = None

    def __init__(self, connection: HTTPStream, head: RequestHead, scope: dict[str, Any]) -> None:
        self.connection = connection
        self.head = head
        self.scope = scope

    async def receive(self) -> Message:
        """The next part of the body; after the last one, wait until the client or the response is done."""
        if not self._given:
            if self.arriving and not self._body:
                await self._wait_for_body()
            if self._body or not self.arriving:
                return self._give_body()
        while not (self.ended or self.responded):
            await self._wait()
        return {"type": "http.disconnect"}

    def feed(self, body: bytes, arriving: bool) -> bool:
        """Take a part of the body; whether the application should catch up before more is read."""
        if body:
            self._body = self._body + body if self._body else body
            self.head.expects_continue = False
        self.arriving = arriving
        if self._waiters:
            self.wake()
        return len(self._body) > HOLD_LIMIT

    def hang_up(self) -> None:
        """The peer will send no more, but may still read."""
        self.ended = True
        self.wake()

    def disconnect(self) -> None:
        """The peer is gone."""
        self.ended = self.gone = True
        self.wake()

    def wake(self) -> None:
        """Let whoever waits in `receive` look again."""
        waiters, self._waiters = self._waiters, None
        for waiter in waiters or ():
            if not waiter.done():
                waiter.set_result(None)

    async def _wait_for_body(self) -> None:
        if self.head.expects_continue and not (self.committed or self.ended):
            self.head.expects_continue = False
            self.connection.tell_to_continue()
        while self.arriving and not (self._body or self.ended or self.responded):
            await self._wait()

    def _give_body(self) -> Message:
        body, self._body = self._body, b""
        if self.arriving:
            self.connection.resume_body()
        else:
            self._given = True
        return {"type": "http.request", "body": body, "more_body": self.arriving}

    async def _wait(self) -> None:
        waiter = self.connection.service.loop.create_future()
        if self._waiters is None:
            self._waiters = []
        self._waiters.append(waiter)
        await waiter
