"""Bridge of one request between the event loop and the thread that answers it.

    thread   puts the response into the outbox and notifies the loop; waits for the body, or for room in the outbox
    loop     sends the outbox; receives the body if the thread waits for it, and wakes the thread

Each field is written by one side only, before the other side is notified (`LoopInbox.post`, `_wake_thread`), and a
waiting side checks its condition each time it is woken up. So the fields need no lock, and no notification is lost.

The loop is notified once for all output that it has not seen yet, of all requests: a response that is there at once
takes one notification, and the responses of a batch take one wake-up of the loop (`LoopInbox`). A coroutine on the loop
(`converse`) is needed only where the loop has to wait: for the client to read, or for the body.

Rejected: a queue and `run_coroutine_threadsafe` for each message. They need four notifications for a short response,
and block the thread for ever when the loop no longer reads the queue.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections import deque
from collections.abc import Sequence
from typing import BinaryIO, Protocol, cast

from corn.server.asgi.types import ClientDisconnected, Message, Receive, Send

_NO_OUTPUT: deque[Message | bytes] = deque(maxlen=0)  # the outbox of all exchanges without output
ROOM = 65536  # bytes of a response that a thread may be ahead of the client


class LoopInbox:
    """Inbox of the event loop, for the exchanges of all requests; created on the loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._context = contextvars.copy_context()
        self._posted: deque[Exchange] = deque()
        self._is_scheduled = False  # the loop is going to handle the posted exchanges

    def post(self, exchange: Exchange) -> None:
        """Have the loop handle an exchange, unless that is scheduled; called in its thread."""
        if exchange.is_posted:
            return
        exchange.is_posted = True
        self._posted.append(exchange)
        if not self._is_scheduled:
            self._is_scheduled = True
            try:
                self._loop.call_soon_threadsafe(self._handle_posted, context=self._context)
            except RuntimeError:  # the loop is closed, because the worker is about to exit
                self._is_scheduled = False
                exchange.abandoned = True

    def _handle_posted(self) -> None:
        self._is_scheduled = False  # first, so that an exchange that is posted meanwhile is not left behind
        posted = self._posted
        while posted:
            try:
                exchange = posted.popleft()
                exchange.is_posted = False  # first, as above
                (exchange.owner or exchange).on_change()
            except Exception as fault:  # noqa: PERF203 - a failure must not affect the other requests
                self._loop.call_exception_handler({"message": "a WSGI response was not sent", "exception": fault})


class Owner(Protocol):
    """Interface of the owner of an exchange that does not converse."""

    def on_change(self) -> None:
        """Handle what the thread has changed."""


class Exchange:
    """Exchange between both sides; created on the loop. The thread calls `run`, which calls `answer` of a subclass.

    The loop either calls `converse`, or sets `owner`, whose `on_change` is called after each change.
    """

    # Initial values that a response does not need which is complete as the call ends are class attributes.
    # Written by the thread
    outbox: deque[Message | bytes] = _NO_OUTPUT
    _put_size = 0  # bytes of the response
    _awaits_body = False  # the thread waits for a part of the body
    _wake_lock: threading.Lock | None = None  # made by a thread that waits; released for a moment to wake it
    # Written by the loop
    _sent_size = 0  # bytes of the response
    _is_end_sent = False  # the end of the response was sent
    _has_changed = False
    _waiter: asyncio.Future[None] | None = None
    # Written by both, each in its own direction
    _received: Message | None = None  # the part of the body for which the thread waits

    def __init__(self, inbox: LoopInbox) -> None:
        self._inbox = inbox
        self._context = contextvars.copy_context()
        self.body: BinaryIO | None = None  # to be closed after the call
        # Written by the thread
        self.begun = False
        self.ended = False
        self.complete = False  # the outbox has the end of the response
        self.has_file = False  # or had
        self.whole: tuple[Message, bytes] | None = None  # start and body of a response complete as the call ends
        self.error: BaseException | None = None
        # Written by the loop
        self.abandoned = False  # the client has disconnected
        self.owner: Owner | None = None
        # Written by both, each in its own direction
        self.is_posted = False  # the loop is going to handle it

    # In the thread

    def run(self) -> None:
        """Call `answer`, unless the client has disconnected; its exception is left in `error`."""
        self.begun = True
        try:
            if not self.abandoned:
                self._context.run(self.answer)
        except BaseException as error:
            self.error = error
        if self.body is not None:
            self.body.close()
        self.ended = True
        self._inbox.post(self)

    def answer(self) -> None:
        """Call the application, and put its response into the outbox; raises its exceptions."""
        raise NotImplementedError

    def put_start(self, message: Message) -> None:
        """Begin the outbox with the response's start, without waking the loop."""
        self.outbox = deque((message,))

    def put_file(self, message: Message) -> None:
        """Add a file to the outbox, without waking the loop."""
        self.has_file = True
        self.outbox.append(message)
        self._put_size += message["count"]

    def put(self, body: bytes) -> None:
        """Add a part of the body to the outbox, without waking the loop."""
        self.outbox.append(body)
        self._put_size += len(body)

    def end(self) -> None:
        """Have the loop send the outbox, and end the response."""
        self.complete = True
        self._inbox.post(self)

    def flush(self, room: int = ROOM) -> None:
        """Have the loop send the outbox, and wait until no more than `room` bytes of it are left."""
        lock = self._make_wake_lock()
        self._inbox.post(self)
        while self._put_size - self._sent_size > room and not self.abandoned:
            lock.acquire()

    def pull(self) -> tuple[bytes, bool]:
        """Next part of the request's body, and True if there is more. Raises ClientDisconnected, an OSError."""
        lock = self._make_wake_lock()
        self._awaits_body = True
        self._inbox.post(self)
        while self._received is None:
            if self.abandoned:
                raise ClientDisconnected
            lock.acquire()
        self._awaits_body = False
        message, self._received = self._received, None
        if message["type"] != "http.request":
            raise ClientDisconnected
        return message.get("body", b""), message.get("more_body", False)

    def _make_wake_lock(self) -> threading.Lock:
        """Lock for a wait; made before the condition is checked, so that the loop sees it or the thread the change."""
        if self._wake_lock is None:
            lock = threading.Lock()
            lock.acquire()
            self._wake_lock = lock
        return self._wake_lock

    # On the loop

    def on_change(self) -> None:
        """Wake `converse`, which handles what the thread has changed."""
        self._has_changed = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def fail(self, error: BaseException) -> None:
        """End an exchange for which there is no thread."""
        self.error, self.abandoned = error, True
        self.run()

    def abandon(self) -> None:
        """Stop serving the thread: its next read or write raises an exception, or returns at once."""
        self.abandoned = True
        self._wake_thread()

    def join_outbox(self) -> tuple[Message, bytes]:
        """Take the start and the body of a response that was completed in parts."""
        start = cast("Message", self.outbox.popleft())
        parts = cast("Sequence[bytes]", self.outbox)
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        self.outbox.clear()
        return start, body

    async def converse(self, receive: Receive, send: Send) -> None:
        """Send the thread's response to the client until the thread has finished; raises its exception.

        A disconnect does not end the thread: its next read or write raises an exception. A cancellation does not end
        the thread either, but returns without waiting for it.
        """
        gone: OSError | None = None
        try:
            while True:
                if not self._has_changed:
                    self._waiter = asyncio.get_running_loop().create_future()
                    await self._waiter
                self._has_changed = False
                ended = self.ended  # read first: later output is sent in the next iteration
                try:
                    await self._deliver(send)
                    if self._awaits_body and self._received is None and not self.abandoned:
                        self._received = await receive()
                except OSError as error:
                    gone = error
                    self.abandoned = True
                self._wake_thread()
                if ended:
                    break
        finally:
            self.abandon()
        failure, self.error = self.error or gone, None
        try:
            if failure is not None:
                raise failure
        finally:
            failure = gone = None  # its traceback refers to this frame

    async def _deliver(self, send: Send) -> None:
        """Send the outbox, with all parts of the body in one message."""
        complete = self.complete  # read first, as above
        if self.whole is not None:
            self.outbox = deque(self.whole)
            self.whole = None
        parts: list[bytes] = []
        while self.outbox and not self.abandoned:
            item = self.outbox.popleft()
            if isinstance(item, bytes):
                parts.append(item)
            else:
                await send(item)
                self._sent_size += item.get("count", 0)
        if parts or (complete and not self._is_end_sent):
            body = parts[0] if len(parts) == 1 else b"".join(parts)
            self._is_end_sent = complete
            await send({"type": "http.response.body", "body": body, "more_body": not complete})
            self._sent_size += len(body)

    def start_conversation(self) -> None:
        """Have `converse`, which is about to be called, begin with the present output; the owner is called no more."""
        self.owner = None
        self.on_change()

    def _wake_thread(self) -> None:
        lock = self._wake_lock
        if lock is not None and lock.locked():
            lock.release()
