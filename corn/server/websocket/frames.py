"""WebSocket frame codec: frames to messages and back (RFC 6455, 5 and 7). Pure: bytes in, messages and bytes out.

The most common frames are parsed here: text and binary frames that are complete messages and were read completely,
pings and pongs. All other frames go to `Protocol` of the library `websockets`, which implements the rest of the RFC:
fragments, closing, and errors.

One call does a bounded amount of work, limited in messages, bytes and frames. The rest of the input is held (`holds`)
for the next call.

Invariants: The library receives whole frames, or parts of one while `_due` counts the missing bytes, so it buffers
nothing at the start of a frame and can be bypassed. It is bypassed only for frames that do not change its state:
between messages, before the close, and for pings and pongs.

Rejected: parsing all frames here. It is not faster for the common ones, and corn would have to implement all rules.
"""

from __future__ import annotations

import codecs
import logging
import struct
from typing import NamedTuple, cast

from websockets.exceptions import PayloadTooBig, ProtocolError
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN, SERVER, Protocol

from corn.server.websocket.deflate import Deflate

try:
    from websockets.speedups import apply_mask
except ImportError:  # there is no wheel for the platform, and no compiler
    from websockets.utils import apply_mask

CLOSE, CONT, PING, PONG, TEXT = Opcode.CLOSE, Opcode.CONT, Opcode.PING, Opcode.PONG, Opcode.TEXT
ABNORMAL = 1006

_PROTOCOL_ERROR, _INVALID_DATA, _TOO_BIG = 1002, 1007, 1009

_TEXT, _BINARY = 0x81, 0x82  # the first byte of a whole message: FIN and the opcode
_WHOLE = (_TEXT, _BINARY)
_COMPRESSED = 0x40  # RSV1 (RFC 7692, 6)
_WHOLE_COMPRESSED = (*_WHOLE, _TEXT | _COMPRESSED, _BINARY | _COMPRESSED)
_IS_TEXT = 1  # bit that distinguishes the opcodes of text (1) and binary (2)
_CLOSE, _PING, _PONG = 0x88, 0x89, 0x8A
_HEARTBEATS = (_PING, _PONG)
_MASKED = 0x80
_SMALL = 125  # the longest payload whose length is in the second byte
_LENGTH_16, _LENGTH_64 = struct.Struct("!H"), struct.Struct("!Q")
_HEAD_16, _HEAD_64 = struct.Struct("!BBH"), struct.Struct("!BBQ")
_TEXT_HEADS, _BINARY_HEADS = ([bytes((first, size)) for size in range(_SMALL + 1)] for first in (_TEXT, _BINARY))

MAX_BYTES = 1 << 18  # of the messages of one call; the message that exceeds it is the last
_MAX_FRAMES = 256  # of one call, messages aside

_PROGRESS = "current_size" if hasattr(Protocol(SERVER), "current_size") else "cur_size"  # websockets before 16

_library_logger = logging.getLogger("corn.websocket.frames")  # the access log has the same information
_library_logger.setLevel(logging.CRITICAL)


class CloseInfo(NamedTuple):
    """Code and reason of the first close frame, from either side."""

    code: int
    reason: str


class FrameCodec:
    """Codec of one WebSocket.

    `out` has the bytes to write after a call, which the caller removes. `end` is set after a close frame was sent or
    received; later messages are dropped. `done` is True when both sides have closed, or after a protocol error of the
    peer (`failed`). `taken` counts the bytes of the messages of the last call.
    """

    __slots__ = (
        "_at",
        "_data",
        "_decoder",
        "_due",
        "_extension",
        "_fragments",
        "_limit",
        "_more",
        "_protocol",
        "_whole",
        "done",
        "end",
        "failed",
        "holds",
        "out",
        "taken",
    )

    def __init__(self, max_size: int, extension: Deflate | None = None) -> None:
        # A compressed message may be a little larger than its content; the library has one limit for both.
        most = max_size if extension is None else max_size + (max_size >> 6) + 1024
        self._protocol = Protocol(SERVER, state=OPEN, max_size=most, logger=_library_logger)
        if extension is not None:
            self._protocol.extensions = [extension]
            extension.limit = max_size
        self._extension = extension
        self._whole = _WHOLE if extension is None else _WHOLE_COMPRESSED
        self._limit = max_size
        self._data = b""  # the bytes before `_at` are processed
        self._at = 0
        self._more: list[bytes] = []  # bytes after it
        self.holds = False
        self.taken = 0
        self._due = 0
        self._fragments: bytearray | None = None  # of the message that is being received
        self._decoder: codecs.IncrementalDecoder | None = None  # validates the fragments of a text as they arrive
        self.end: CloseInfo | None = None
        self.done = False
        self.failed = False
        self.out = b""

    # Receiving

    def feed(self, data: bytes, room: int) -> list[str | bytes]:
        """Return the messages that `data` completes, at most `room`.

        `holds` is True if there is more input to process without further data: there was no room for all messages, or a
        frame follows that may end the session. The application can first answer the messages before it.
        """
        at = 0
        messages: list[str | bytes] = []
        self.taken = 0
        if self._data and room <= 0:
            self._more.append(data)  # joined once per frame, because the peer chooses the size of the pieces
            return messages
        if self._data or self._due:
            data, at = self._resume(data, messages)
        self.holds = False
        size, others = len(data), 0
        while size - at > 1 and not self.done:
            if len(messages) >= room or self.taken >= MAX_BYTES or others >= _MAX_FRAMES:
                self.holds = True
                break
            first, start, length = data[at], at + 6, data[at + 1] - _MASKED  # negative if the frame is not masked
            if length > _SMALL:
                start, length = _long(data, at)
                if not start:
                    break
            end = start + length
            if first in self._whole and 0 <= length <= self._limit and self._fragments is None and self.end is None:
                if end <= size:
                    self._complete(apply_mask(data[start:end], data[start - 4 : start]), first, messages)
                else:
                    self._due = end - size
                    self._pass_on(data[at:], messages)
            elif self._take_other(data, at, end, messages):
                others += 1
            else:
                break
            at = end
        if at < size and not self.done:
            self._data, self._at = data, at
        return messages

    def _resume(self, data: bytes, messages: list[str | bytes]) -> tuple[bytes, int]:
        """Return the kept input and `data` as one, and the position from which to process it."""
        if self._due:
            at = min(self._due, len(data))
            self._due -= at
            self._pass_on(data[:at], messages)
            return data, at
        kept, at = self._data, self._at
        self._data = b""
        if not (data or self._more):
            return kept, at
        joined = b"".join((kept[at:], *self._more, data))
        self._more.clear()
        return joined, 0

    def _take_other(self, data: bytes, at: int, end: int, messages: list[str | bytes]) -> bool:
        """Process a frame that is no whole message; returns False if it has to wait."""
        first, length = data[at], data[at + 1] - _MASKED
        if first in _HEARTBEATS and 0 <= length <= _SMALL and self.end is None:
            if end > len(data):
                return False
            if first == _PING:
                start = end - length
                self.out += bytes((_PONG, length)) + apply_mask(data[start:end], data[start - 4 : start])
        elif messages:
            self.holds = True
            return False
        else:
            self._due = max(end - len(data), 0)
            self._begin(data[at:end] if length >= 0 else data[at:], messages)
        return True

    def _complete(self, payload: bytes, first: int, messages: list[str | bytes]) -> None:
        try:
            if first & _COMPRESSED:
                payload = self._inflate(payload)
            self.taken += len(payload)
            messages.append(payload.decode() if first & _IS_TEXT else payload)
        except UnicodeDecodeError as error:
            self.fail(_INVALID_DATA, f"{error.reason} at position {error.start}")
        except PayloadTooBig as error:
            self.fail(_TOO_BIG, str(error))
        except ProtocolError as error:
            self.fail(_PROTOCOL_ERROR, str(error))

    def _inflate(self, payload: bytes) -> bytes:
        assert self._extension is not None
        self._extension.begin_message()
        return self._extension.inflate(payload, self._limit)

    def _begin(self, data: bytes, messages: list[str | bytes]) -> None:
        """Pass on a frame, or the received part of it."""
        if data[0] == _CLOSE and self._fragments is not None:
            # Control frames may be between fragments (RFC 6455, 5.4), but the library needs a complete message.
            self._fragments = None
            setattr(self._protocol, _PROGRESS, None)
        self._pass_on(data, messages)

    def _pass_on(self, data: bytes, messages: list[str | bytes]) -> None:
        protocol = self._protocol
        protocol.receive_data(data)
        for frame in cast("list[Frame]", protocol.events_received()):
            if frame.opcode is CLOSE:
                self._closed()
            elif frame.opcode not in (PING, PONG) and self.end is None:
                self._take(frame, messages)
        if protocol.parser_exc is not None and not self.done:
            self._failed()
        self._collect()

    def _take(self, frame: Frame, messages: list[str | bytes]) -> None:
        """Process a frame of a message: all of it, or a fragment."""
        data = bytes(frame.data)
        if len(data) + len(self._fragments or b"") > self._limit:
            self.fail(_TOO_BIG, str(PayloadTooBig(None, self._limit)))
            return
        if frame.opcode is not CONT:
            if frame.fin:
                self._complete(data, frame.opcode, messages)
                return
            self._fragments = bytearray()
            self._decoder = codecs.getincrementaldecoder("utf-8")() if frame.opcode is TEXT else None
        fragments = cast("bytearray", self._fragments)
        fragments += data
        try:
            if self._decoder is not None:
                self._decoder.decode(data, frame.fin)
        except UnicodeDecodeError as error:
            self.fail(_INVALID_DATA, f"{error.reason} in a fragment")
        else:
            if frame.fin:
                self._fragments = None
                self.taken += len(fragments)
                messages.append(bytes(fragments) if self._decoder is None else fragments.decode())

    def _closed(self) -> None:
        self.done = True
        received = self._protocol.close_rcvd
        if self.end is None and received is not None:
            self.end = CloseInfo(int(received.code), received.reason)

    def _failed(self) -> None:
        self.done = self.failed = True
        sent = self._protocol.close_sent
        if self.end is None and sent is not None:
            self.end = CloseInfo(int(sent.code), sent.reason)

    def _collect(self) -> None:
        # The library represents a half-close as b""; the caller decides when to close.
        self.out += b"".join(self._protocol.data_to_send())

    def release(self) -> None:
        """Free what was received: no more comes.

        The library's protocol refers to itself by its parser, a generator, and by the traceback of a fault.
        """
        self._protocol.parser.close()
        self._protocol.parser_exc = None

    # Sending

    def encode(self, message: str | bytes) -> bytes:
        """Serialize one message as a frame. Not to be called once `end` is set."""
        if isinstance(message, str):
            payload, first = message.encode(), _TEXT
        else:
            payload, first = message, _BINARY
        if self._extension is None:
            if len(payload) <= _SMALL:
                return (_TEXT_HEADS if first == _TEXT else _BINARY_HEADS)[len(payload)] + payload
            return _head(first, len(payload)) + payload
        packed = self._extension.deflate(payload)
        return _head(first | _COMPRESSED, len(packed)) + packed

    def ping(self) -> None:
        """Send a ping."""
        self._protocol.send_ping(b"")
        self._collect()

    def close(self, code: int, reason: str) -> None:
        """Begin to close; no-op once `end` is set. Raises ValueError for an invalid code or reason (RFC 6455, 7.4)."""
        if self.end is not None:
            return
        try:
            self._protocol.send_close(code, reason)
        except ProtocolError as error:
            raise ValueError(f"cannot close with code {code!r} and reason {reason!r}: {error}") from None
        self.end = CloseInfo(code, reason)
        self._collect()

    def fail(self, code: int, reason: str) -> None:
        """Fail the connection: send the close frame, and ignore further input (RFC 6455, 7.1.7)."""
        self._protocol.fail(code, reason)
        self._failed()
        self._collect()


def _head(first: int, size: int) -> bytes:
    if size <= _SMALL:
        return bytes((first, size))
    if size < 1 << 16:
        return _HEAD_16.pack(first, _SMALL + 1, size)
    return _HEAD_64.pack(first, _SMALL + 2, size)


def _long(data: bytes, at: int) -> tuple[int, int]:
    """Start of the payload of a larger frame, and its size; the start is 0 while the header is incomplete."""
    extended = _LENGTH_16 if data[at + 1] == _MASKED + _SMALL + 1 else _LENGTH_64
    if len(data) < at + 2 + extended.size:
        return 0, 0
    return at + 2 + extended.size + 4, extended.unpack_from(data, at + 2)[0]
