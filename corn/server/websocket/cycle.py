"""ASGI cycle of a WebSocket (ASGI, "WebSocket", 2.5).

A WebSocket begins as an HTTP request, which the application either accepts or answers with an HTTP response. After it
is accepted, a `WebSocketSession` carries the messages.

    START   websocket.accept                 -> OPEN
            websocket.close                  -> DONE, by 403
            websocket.http.response.start    -> BODY
    BODY    websocket.http.response.body     -> BODY while more_body, else DONE
    OPEN    websocket.send                   -> OPEN
            websocket.close                  -> DONE

At the end the application receives `websocket.disconnect`, after the messages that precede it. If the application has
not closed the WebSocket itself, sending raises ClientDisconnected.

The connection of the cycle implements `open_websocket(head, session, block, flags)`: it writes the response (101 with
the accept key over HTTP/1.1, 200 over HTTP/2) with the field lines of `block`, sets `session.carrier`, and feeds all
further input to the session.
"""

from __future__ import annotations

import math
from time import monotonic
from typing import Any, ClassVar

from corn.server.access_log.formats import AccessRecord
from corn.server.asgi.cycle import DONE, RequestCycle, Stage
from corn.server.asgi.types import ClientDisconnected, Message
from corn.server.context import ServerContext
from corn.server.http.errors import plain_response
from corn.server.http.head import RequestHead
from corn.server.http.response_fields import encode_fields
from corn.server.typing import HTTPStream
from corn.server.websocket.deflate import negotiate_deflate
from corn.server.websocket.frames import ABNORMAL, CloseInfo, FrameCodec
from corn.server.websocket.handshake import Offer, check_fields, websocket_scope
from corn.server.websocket.session import INTERNAL_ERROR, RESTART_REASON, SERVICE_RESTART, WebSocketSession
from corn.server.write_buffer import WaiterList

_NORMAL = 1000
_NOTICE = 0.25  # seconds between websocket.disconnect and the cancellation of the application


class WebSocketCycle(RequestCycle):
    """ASGI cycle of one WebSocket, from its handshake to its end."""

    keep_alive = False  # of an HTTP response: frames may follow the handshake, and could be taken for requests
    opened_by = 101  # the status that accepts the handshake
    session: WebSocketSession | None = None
    _told = False  # the application received websocket.connect

    def __init__(
        self,
        service: ServerContext,
        connection: HTTPStream,
        head: RequestHead,
        scope: dict[str, Any],
        offer: Offer,
    ) -> None:
        super().__init__(service, connection, head, websocket_scope(scope, offer))
        self._offer = offer
        self._waiters: WaiterList = WaiterList()

    async def receive(self) -> Message:
        """ASGI `receive`: waits for the next message; after the end, returns websocket.disconnect each time."""
        if not self._told:
            self._told = True
            return {"type": "websocket.connect"}
        while True:
            session = self.session
            if session is None:
                if self.ended or self.responded:
                    return _disconnection(CloseInfo(ABNORMAL, ""))
            elif session.messages:
                message = session.messages.popleft()
                if session.is_full:
                    session.catch_up()
                return message
            elif session.outcome is not None:
                return _disconnection(session.outcome)
            await self._waiters.wait()

    async def send(self, message: Message) -> None:
        """ASGI `send`: takes one message; waits while the peer reads too slowly."""
        handler = self._stage.get(message["type"])
        if self.gone:
            raise ClientDisconnected
        if handler is None:
            raise self._out_of_order(message["type"])
        handler(self, message)
        writer = self.connection if self.session is None else self.session.carrier
        if writer.write_paused:
            await writer.drained()

    # The handshake

    def _take_accept(self, message: Message) -> None:
        if self.ended:
            raise ClientDisconnected
        service = self.service
        headers = [*(message.get("headers") or ())]
        check_fields(headers)
        if message.get("subprotocol") is not None:
            headers.append((b"sec-websocket-protocol", message["subprotocol"].encode("ascii")))
        negotiated = negotiate_deflate(self._offer.extensions) if service.config.ws_per_message_deflate else None
        if negotiated is not None:
            headers.append((b"sec-websocket-extensions", negotiated[1]))
        self._block, _, flags = encode_fields(headers)
        frames = FrameCodec(service.config.ws_max_size, negotiated[0] if negotiated is not None else None)
        self.session = WebSocketSession(service, frames, self._waiters.wake, self._end)
        self._stage, self.status, self.committed, self.expires = self.OPEN, self.opened_by, True, math.inf
        self.connection.open_websocket(self.head, self.session, self._block, flags)
        service.metrics.answered(self, monotonic(), logs=False)
        if service.access is not None:
            service.access.accepted(self._record("accepted"))

    def _take_refusal(self, _: Message) -> None:
        headers, body = plain_response(403)
        self._take_start({"status": 403, "headers": headers})
        self._take_body({"body": body})

    # Open

    def _take_message(self, message: Message) -> None:
        assert self.session is not None
        if self.session.is_lost:
            raise ClientDisconnected  # although there may be messages left to receive
        data = message.get("text")
        if data is None:
            data = message.get("bytes")
            if data is None:
                raise ValueError("'websocket.send' has neither text nor bytes")
        self.sent += self.session.send(data)

    def _take_close(self, message: Message) -> None:
        assert self.session is not None
        self._stage = DONE
        self.session.close(message.get("code", _NORMAL), message.get("reason") or "")
        self.session.messages.clear()

    def _end(self, outcome: CloseInfo) -> None:
        self.gone = self._stage is not DONE
        self.service.metrics.sent += self.sent
        if self.service.access is not None:
            self.service.access.closed(self._record(f"closed {outcome.code}"))

    def _record(self, phase: str) -> AccessRecord:
        took = monotonic() - self.started_at
        return AccessRecord(self.scope["client"], self.head, self.status, self.sent, took, self._block, "", phase)

    START: ClassVar[Stage] = {
        "websocket.accept": _take_accept,
        "websocket.close": _take_refusal,
        "websocket.http.response.start": RequestCycle._take_start,
    }
    BODY: ClassVar[Stage] = {"websocket.http.response.body": RequestCycle._take_body}
    OPEN: ClassVar[Stage] = {"websocket.send": _take_message, "websocket.close": _take_close}

    # Errors

    def cancel(self, why: str) -> None:
        """Cancel the application's task; if accepted, it has a moment to return after websocket.disconnect."""
        if self.session is None:
            super().cancel(why)
        else:
            self.session.close(SERVICE_RESTART, RESTART_REASON)
            self.service.loop.call_later(_NOTICE, super().cancel, why)

    def _unfinished(self) -> None:
        if self.session is None:
            super()._unfinished()
        else:
            self.session.close(_NORMAL, "")

    def _fail(self, status: int) -> None:
        if self.session is None:
            super()._fail(status)
        elif status == 503:
            self.session.close(SERVICE_RESTART, RESTART_REASON)
        else:
            self.session.close(INTERNAL_ERROR, "internal error")

    def _failed(self, error: BaseException) -> None:
        if self.gone and type(error).__name__ == "WebSocketDisconnect":
            return  # Starlette and Litestar raise it on websocket.disconnect; applications need not catch it
        super()._failed(error)

    def _name(self) -> str:
        return f"WebSocket {self.scope['path']}"


def _disconnection(end: CloseInfo) -> Message:
    return {"type": "websocket.disconnect", "code": end.code, "reason": end.reason}
