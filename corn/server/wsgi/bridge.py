"""Bridge of one request between the event loop and the thread that answers it.

    thread   puts the response into the outbox and notifies the loop; waits for the body, or for room in the outbox
    loop     receives the body if the thread waits for it, sends the outbox, and wakes the thread

Each field is written by one side only, before the other side is notified (`_post`, `_let_go_on`), and a waiting side
checks its condition each time it is woken up. So the fields need no lock, and no notification is lost. The loop is
notified once for all output that it has not seen yet, so a short response needs a single notification.

Rejected: a queue and `run_coroutine_threadsafe` for each message. They need four notifications for a short response,
and block the thread for ever when the loop no longer reads the queue.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections import deque
from collections.abc import Callable

from corn.server.asgi.types import ClientDisconnected, Message, Receive, Send

ROOM = 65536  # bytes of a response that a thread may be ahead of the client


class Exchange:
    """Exchange between both sides; created on the loop. The thread calls `run`, the loop `converse`."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._context = contextvars.copy_context()
        # Written by the thread
        self.begun = False
        self.ended = False
        self._outbox: deque[Message | bytes] = deque()
        self._put = 0  # bytes of the response
        self._complete = False
        self._asks = False  # the thread waits for a part of the body
        self._error: BaseException | None = None
        # Written by the loop
        self.abandoned = False  # the client has disconnected
        self._sent = 0  # bytes of the response
        self._received: deque[Message] = deque()
        self._over = False  # the end of the response was sent
        self._noticed = False
        self._waiter: asyncio.Future[None] | None = None
        # Written by both, each in its own direction
        self._posted = False
        self._turn = threading.Lock()
        self._turn.acquire()

    # In the thread

    def run(self, answer: Callable[[], None]) -> None:
        """Call `answer`, unless the client has disconnected. `converse` raises its exception."""
        self.begun = True
        try:
            if not self.abandoned:
                self._context.run(answer)
        except BaseException as error:
            self._error = error
        self.ended = True
        self._post()

    def put_message(self, message: Message) -> None:
        """Add the response's start or a file to the outbox, without waking the loop."""
        self._outbox.append(message)
        self._put += message.get("count", 0)

    def put(self, body: bytes) -> None:
        """Add a part of the body to the outbox, without waking the loop."""
        self._outbox.append(body)
        self._put += len(body)

    def complete(self) -> None:
        """Have the loop send the outbox, and end the response."""
        self._complete = True
        self._post()

    def flush(self, room: int = ROOM) -> None:
        """Have the loop send the outbox, and wait until no more than `room` bytes of it are left."""
        self._post()
        while self._put - self._sent > room and not self.abandoned:
            self._turn.acquire()

    def pull(self) -> tuple[bytes, bool]:
        """Next part of the request's body, and True if there is more. Raises ClientDisconnected, an OSError."""
        self._asks = True
        self._post()
        while not self._received:
            if self.abandoned:
                raise ClientDisconnected
            self._turn.acquire()
        self._asks = False
        message = self._received.popleft()
        if message["type"] != "http.request":
            raise ClientDisconnected
        return message.get("body", b""), message.get("more_body", False)

    def _post(self) -> None:
        if not self._posted:
            self._posted = True
            try:
                self._loop.call_soon_threadsafe(self._notice)
            except RuntimeError:  # the loop is closed, because the worker is about to exit
                self.abandoned = True

    # On the loop

    async def converse(self, receive: Receive, send: Send) -> None:
        """Send the thread's response to the client until the thread has finished; raises its exception.

        A disconnect does not end the thread: its next read or write raises an exception. A cancellation does not end
        the thread either, but returns without waiting for it.
        """
        gone: OSError | None = None
        try:
            while True:
                if not self._noticed:
                    self._waiter = self._loop.create_future()
                    await self._waiter
                self._noticed = False
                ended = self.ended  # read first: later output is sent in the next iteration
                try:
                    await self._deliver(send)
                    if self._asks and not self._received and not self.abandoned:
                        self._received.append(await receive())
                except OSError as error:
                    gone = error
                    self.abandoned = True
                self._let_go_on()
                if ended:
                    break
        finally:
            self.abandoned = True
            self._let_go_on()
        failure, self._error = self._error or gone, None
        try:
            if failure is not None:
                raise failure
        finally:
            failure = gone = None  # its traceback refers to this frame

    async def _deliver(self, send: Send) -> None:
        """Send the outbox, with all parts of the body in one message."""
        complete = self._complete  # read first, as above
        parts: list[bytes] = []
        while self._outbox and not self.abandoned:
            item = self._outbox.popleft()
            if isinstance(item, bytes):
                parts.append(item)
            else:
                await send(item)
                self._sent += item.get("count", 0)
        if parts or (complete and not self._over):
            body = parts[0] if len(parts) == 1 else b"".join(parts)
            self._over = complete
            await send({"type": "http.response.body", "body": body, "more_body": not complete})
            self._sent += len(body)

    def _let_go_on(self) -> None:
        if self._turn.locked():
            self._turn.release()

    def _notice(self) -> None:
        self._posted = False
        self._noticed = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
