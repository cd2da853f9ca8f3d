"""The streams of a connection: begun, ended by both sides, or reset by one (RFC 9113, 5.1).

A stream is in `streams` from its HEADERS until both sides have ended it, or one has reset it. One that corn ended while
the peer may have been sending on it is remembered for a while (`_ended`): what still comes for it is no fault.

An application that goes on after its stream was reset counts as a stream all the same (`_abandoned`). So the work in
progress for a connection is bounded by `--http2-max-concurrent-streams`, however fast the peer resets.
"""

from __future__ import annotations

from corn.server.asgi.cycle import RequestCycle
from corn.server.asgi.scope import Endpoints, http_scope
from corn.server.context import ServerContext
from corn.server.http.errors import HTTPError
from corn.server.http.head import RequestHead
from corn.server.http2.frames import ErrorCode, HTTP2ConnectionError, HTTP2StreamError, MalformedRequestError, reset
from corn.server.http2.header_codec import Fields
from corn.server.http2.request_head import read_head
from corn.server.http2.response import HTTP2Cycle, HTTP2WebSocketCycle
from corn.server.http2.send_scheduler import SendScheduler
from corn.server.http2.stream import Stream
from corn.server.websocket.handshake import read_offer

_MOST_ENDED = 256


class StreamTable(SendScheduler):
    """A connection as far as its streams go; `rest` says what happens when the last has ended."""

    __slots__ = ("_abandoned", "_ended", "_last", "_left", "_most", "ends", "streams")

    def __init__(self, service: ServerContext, ends: Endpoints) -> None:
        super().__init__(service)
        self.ends = ends
        self.streams: dict[int, Stream] = {}
        self._last = 0  # the highest that the peer has begun
        self._left = False  # the last stream was named, and no more are taken
        self._most = service.config.http2_max_concurrent_streams
        self._ended: dict[int, None] = {}
        self._abandoned: set[RequestCycle] = set()

    def begin_stream(self, number: int, fields: Fields, *, ends: bool) -> None:
        """Begin a stream with a request; raises StreamFault for what is none."""
        service = self.service
        if self._left:
            raise HTTP2StreamError(ErrorCode.REFUSED_STREAM, "the connection is left")
        if len(self.streams) + self._count_abandoned() >= self._most:
            raise HTTP2StreamError(ErrorCode.REFUSED_STREAM, "too many streams")
        stream = Stream(self, number, received=ends)
        try:
            head = read_head(
                fields, limit_size=service.limit_header_size, limit_count=service.limit_header_count, ends=ends
            )
            self.begin_request(stream, head)
        except HTTPError as refusal:
            self._add(stream)
            stream.refuse(refusal)
        except MalformedRequestError as fault:
            if service.access is not None:
                service.access.refused(self.ends.client, HTTPError(400, fault.reason))
            raise

    def begin_request(self, stream: Stream, head: RequestHead) -> None:
        """Let the application answer on a stream; raises `Refusal`."""
        service = self.service
        scope = http_scope(head, self.ends, service.template)
        scope["http_version"] = "2"
        if head.forwarded or service.request_ids is not None:
            service.heed_proxies(head, scope, self.ends.client)
        if len(service.running) >= service.limit_concurrency:
            raise HTTPError(503, "too many requests at a time")
        stream.expect(head)
        if not head.upgrade:
            stream.cycle = HTTP2Cycle(stream, head, scope)
            stream.cycle.arriving = not stream.received
        elif head.upgrade == b"websocket" and service.opens_websockets:
            stream.cycle = HTTP2WebSocketCycle(stream, head, scope, read_offer(head.headers))
        else:
            raise HTTPError(501, "protocol not implemented")  # RFC 9220, 3
        self._add(stream)
        stream.cycle.begin()

    def stream(self, number: int) -> Stream | None:
        """The stream, or None if it has ended; raises ConnectionFault if it has never begun."""
        stream = self.streams.get(number)
        if stream is None and (number > self._last or not number & 1):
            raise HTTP2ConnectionError(ErrorCode.PROTOCOL_ERROR, "a frame on a stream that has not begun")
        return stream

    def was_ended(self, number: int) -> bool:
        """Whether corn ended the stream, so that the peer may not have known."""
        return number in self._ended

    def completed(self, stream: Stream) -> None:
        """The response is sent. What is left of the request is not wanted any more (RFC 9113, 8.1)."""
        if not stream.received:
            self.reset_stream(stream.number, ErrorCode.NO_ERROR)
        self._remove(stream)
        if stream.cycle is not None and stream.cycle.gone:  # it was answered over the application's head
            self._abandon(stream.cycle)

    def end_stream(self, stream: Stream, code: ErrorCode) -> None:
        """Reset a stream that both sides still know."""
        self.reset_stream(stream.number, code)
        self.drop_stream(stream)

    def drop_stream(self, stream: Stream) -> None:
        """One side has reset the stream."""
        self._remove(stream)
        stream.lost()
        if stream.cycle is not None:
            self._abandon(stream.cycle)

    def reset_stream(self, number: int, code: ErrorCode) -> None:
        """Tell the peer that a stream is over, and remember that it may not know for a moment."""
        self.write_soon(reset(number, code))
        self._ended[number] = None
        if len(self._ended) > _MOST_ENDED:
            del self._ended[next(iter(self._ended))]

    def rest(self) -> None:
        """No stream is left."""
        raise NotImplementedError

    def look_again(self) -> None:
        """Set the deadline to the next that there is."""
        raise NotImplementedError

    def _add(self, stream: Stream) -> None:
        was_idle = not self.streams
        self.streams[stream.number] = stream
        if was_idle:
            self.look_again()

    def _remove(self, stream: Stream) -> None:
        if self.streams.pop(stream.number, None) is None:
            return
        self.stop_waiting(stream)
        if stream.unread:
            self.give_back(stream.unread)
        if not self.streams:
            self.rest()

    def _abandon(self, cycle: RequestCycle) -> None:
        if not cycle.task.done():
            self._abandoned.add(cycle)

    def _count_abandoned(self) -> int:
        if self._abandoned:
            self._abandoned = {cycle for cycle in self._abandoned if not cycle.task.done()}
        return len(self._abandoned)
