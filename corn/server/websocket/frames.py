"""Frames to messages and back (RFC 6455, 5 and 7; RFC 7692). Pure: bytes in, messages and bytes out.

What clients send most, a text or binary frame that is one whole message, uncompressed and complete in what was read,
is taken apart here. Every other frame goes to `Protocol` of the library `websockets`, which knows the rest of the RFC:
control frames, fragments, compression, closing, and what is wrong.

Invariants. The protocol is handed whole frames, or parts of one while `_due` counts what is missing of it; so at the
start of a frame it holds nothing back, and can be passed by. It is passed by only where it would neither answer nor
remember anything of the frame: between messages, before the end.

Parsing everything here was the alternative: no faster for what is common, and the rules and the attacks would be ours
to know.
"""

from __future__ import annotations

import codecs
import logging
import struct
from typing import NamedTuple, cast

from websockets.exceptions import PayloadTooBig, ProtocolError
from websockets.extensions import Extension
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN, SERVER, Protocol

try:
    from websockets.speedups import apply_mask
except ImportError:  # where no wheel fits the machine and there is no compiler
    from websockets.utils import apply_mask

CLOSE, CONT, PING, PONG, TEXT = Opcode.CLOSE, Opcode.CONT, Opcode.PING, Opcode.PONG, Opcode.TEXT
ABNORMAL = 1006

_PROTOCOL_ERROR, _INVALID_DATA, _TOO_BIG = 1002, 1007, 1009

_TEXT, _BINARY = 0x81, 0x82  # the first byte of a whole message: FIN and the opcode
_WHOLE = (_TEXT, _BINARY)
_COMPRESSED = 0x40  # RSV1 (RFC 7692, 6)
_WHOLE_COMPRESSED = (*_WHOLE, _TEXT | _COMPRESSED, _BINARY | _COMPRESSED)
_IS_TEXT = 1  # tells the opcodes of text and binary, 1 and 2, from each other
_CLOSE = 0x88
_MASKED = 0x80
_SMALL = 125  # the longest payload whose length is told in the second byte
_LENGTH_16, _LENGTH_64 = struct.Struct("!H"), struct.Struct("!Q")
_HEAD_16, _HEAD_64 = struct.Struct("!BBH"), struct.Struct("!BBQ")
_TEXT_HEADS, _BINARY_HEADS = ([bytes((first, size)) for size in range(_SMALL + 1)] for first in (_TEXT, _BINARY))

_PROGRESS = "current_size" if hasattr(Protocol(SERVER), "current_size") else "cur_size"  # websockets before 16

_silent = logging.getLogger("corn.websocket.frames")  # what the library logs is in the access log already
_silent.setLevel(logging.CRITICAL)


class CloseInfo(NamedTuple):
    """What ended a WebSocket: the code and the reason of the close frame that came first, from either side."""

    code: int
    reason: str


class FrameCodec:
    """One WebSocket's frames.

    `out` is what is to be written after a call; the caller takes it. `end` is set once a close frame was sent or
    received: then messages are dropped. `done` says that nothing more is to come: the close frame was answered, or the
    peer has broken the protocol (`failed`).
    """

    __slots__ = (
        "_at",
        "_data",
        "_decoder",
        "_due",
        "_extension",
        "_fragments",
        "_limit",
        "_protocol",
        "_whole",
        "done",
        "end",
        "failed",
        "holds",
        "out",
    )

    def __init__(self, max_size: int, extension: Extension | None = None) -> None:
        self._protocol = Protocol(SERVER, state=OPEN, max_size=max_size, logger=_silent)
        if extension is not None:
            self._protocol.extensions = [extension]
        self._extension = extension
        self._whole = _WHOLE if extension is None else _WHOLE_COMPRESSED
        self._limit = max_size
        self._data = b""  # of which all before `_at` is done with
        self._at = 0
        self.holds = False
        self._due = 0
        self._fragments: bytearray | None = None  # of the message that is being received
        self._decoder: codecs.IncrementalDecoder | None = None  # looks at a text's fragments as they come
        self.end: CloseInfo | None = None
        self.done = False
        self.failed = False
        self.out = b""

    # From the peer

    def feed(self, data: bytes, room: int) -> list[str | bytes]:
        """The messages that are complete with `data`, at most `room`.

        `holds` says that there is more to come without more data: messages for which there was no room, or after them
        something that is no message, and may end everything. The application can answer what came before it.
        """
        at = 0
        messages: list[str | bytes] = []
        if self._data:
            data, at = (self._data[self._at :] + data, 0) if data else (self._data, self._at)
            self._data = b""
        if self._due:
            at = min(self._due, len(data))
            self._due -= at
            self._pass_on(data[:at], messages)
        at = self._split(data, at, room, messages)
        if at < len(data) and not self.done:
            self._data, self._at = data, at
        return messages

    def _split(self, data: bytes, at: int, room: int, messages: list[str | bytes]) -> int:
        """Take frame by frame; how far that went."""
        self.holds = False
        size = len(data)
        while size - at > 1 and not self.done:
            first, start, length = data[at], at + 6, data[at + 1] - _MASKED
            if len(messages) >= room or (messages and first not in self._whole):
                self.holds = True
                break
            if length > _SMALL:
                start, length = _long(data, at)
                if not start:
                    break
            end = start + length
            whole = end <= size and 0 <= length <= self._limit  # it is negative where the frame is not masked
            if whole and first in self._whole and self._fragments is None and self.end is None:
                payload = apply_mask(data[start:end], data[start - 4 : start])
                self._complete(payload, first, messages)
            else:
                self._due = max(end - size, 0)
                self._begin(data[at:end] if length >= 0 else data[at:], messages)
            at = end
        return min(at, size)

    def _complete(self, payload: bytes, first: int, messages: list[str | bytes]) -> None:
        try:
            if first & _COMPRESSED:
                payload = self._unpack(payload, first)
            messages.append(payload.decode() if first & _IS_TEXT else payload)
        except UnicodeDecodeError as error:
            self.fail(_INVALID_DATA, f"{error.reason} at position {error.start}")
        except PayloadTooBig as error:
            self.fail(_TOO_BIG, str(error))
        except ProtocolError as error:
            self.fail(_PROTOCOL_ERROR, str(error))

    def _unpack(self, payload: bytes, first: int) -> bytes:
        assert self._extension is not None
        frame = Frame(Opcode(first & 0x0F), payload, rsv1=True)
        return bytes(self._extension.decode(frame, max_size=self._limit).data)

    def _begin(self, data: bytes, messages: list[str | bytes]) -> None:
        """Pass on a frame, or what has come of it."""
        if data[0] == _CLOSE and self._fragments is not None:
            # Control frames may come amid a message (RFC 6455, 5.4), but the library wants it completed first.
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
        """A frame of a message: all of it, or a fragment."""
        data = bytes(frame.data)
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
        # A half-close is written as b"" by the library; when to close is the caller's to know.
        self.out += b"".join(self._protocol.data_to_send())

    # To the peer

    def encode(self, message: str | bytes) -> bytes:
        """The frame of one message. Not to be called once `end` is set."""
        if isinstance(message, str):
            payload, first = message.encode(), _TEXT
        else:
            payload, first = message, _BINARY
        if self._extension is None:
            if len(payload) <= _SMALL:
                return (_TEXT_HEADS if first == _TEXT else _BINARY_HEADS)[len(payload)] + payload
            return _head(first, len(payload)) + payload
        packed = self._extension.encode(Frame(Opcode(first & 0x0F), payload)).data
        return b"".join((_head(first | _COMPRESSED, len(packed)), packed))

    def ping(self) -> None:
        """Ask for a sign of life."""
        self._protocol.send_ping(b"")
        self._collect()

    def close(self, code: int, reason: str) -> None:
        """Begin to close; does nothing once `end` is set. Raises ValueError for what cannot be sent (RFC 6455, 7.4)."""
        if self.end is not None:
            return
        try:
            self._protocol.send_close(code, reason)
        except ProtocolError as error:
            raise ValueError(f"cannot close with code {code!r} and reason {reason!r}: {error}") from None
        self.end = CloseInfo(code, reason)
        self._collect()

    def fail(self, code: int, reason: str) -> None:
        """Give up on the peer: tell it why, and listen no more (RFC 6455, 7.1.7)."""
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
    """Where the payload of a larger frame begins, and its size; at 0 while that cannot be told."""
    extended = _LENGTH_16 if data[at + 1] == _MASKED + _SMALL + 1 else _LENGTH_64
    if len(data) < at + 2 + extended.size:
        return 0, 0
    return at + 2 + extended.size + 4, extended.unpack_from(data, at + 2)[0]
