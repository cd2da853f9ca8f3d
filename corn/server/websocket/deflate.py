"""Compression of WebSocket messages: permessage-deflate (RFC 7692).

The library `websockets` negotiates the parameters. The codec is corn's own, because the library's silently loses data
after a DEFLATE block with BFINAL set (the rest of the message and all later messages are empty), and because it
inflates a fragment without a limit if the message has exactly the maximum size before it.
"""

from __future__ import annotations

import zlib

from websockets.exceptions import NegotiationError, PayloadTooBig, ProtocolError
from websockets.extensions import Extension
from websockets.extensions.permessage_deflate import PerMessageDeflate, ServerPerMessageDeflateFactory
from websockets.frames import Frame, Opcode
from websockets.headers import build_extension
from websockets.typing import ExtensionHeader

_TAIL = b"\0\0\xff\xff"  # end of a sync flush; omitted on the wire (RFC 7692, 7.2.1)
_MAX_STREAMS = 16  # DEFLATE streams in a message; each costs memory and time however short it is
_CONTROL = 8  # the opcodes of control frames have this bit

# A window of 4 KiB needs a quarter of the memory of the largest one, and compresses messages as well.
_FACTORY = ServerPerMessageDeflateFactory(
    server_max_window_bits=12, client_max_window_bits=12, compress_settings={"memLevel": 5}
)


class Deflate(Extension):
    """Compression of one WebSocket, with the negotiated parameters."""

    name = PerMessageDeflate.name

    def __init__(self, negotiated: PerMessageDeflate) -> None:
        self._settings = negotiated.compress_settings
        self._local_bits, self._remote_bits = -negotiated.local_max_window_bits, -negotiated.remote_max_window_bits
        self._forgets_local, self._forgets_remote = (
            negotiated.local_no_context_takeover,
            negotiated.remote_no_context_takeover,
        )
        self._deflater = self._new_deflater()
        self._inflater = zlib.decompressobj(self._remote_bits)
        self.limit = 0  # bytes of a message
        self._in_message = False  # fragments of a compressed message are still to come
        self._left = 0  # bytes of the limit left for them

    def deflate(self, payload: bytes) -> bytes:
        """Compress the payload of a message."""
        if self._forgets_local:
            self._deflater = self._new_deflater()
        return (self._deflater.compress(payload) + self._deflater.flush(zlib.Z_SYNC_FLUSH))[:-4]

    def inflate(self, payload: bytes, limit: int, *, fin: bool = True) -> bytes:
        """Decompressed content of a message or a fragment; raises PayloadTooBig beyond `limit`, and ProtocolError."""
        inflater = self._inflater
        if inflater.eof:
            inflater = self._inflater = zlib.decompressobj(self._remote_bits)
        data = payload + _TAIL if fin else payload
        try:
            content = inflater.decompress(data, limit + 1)
            if inflater.eof:
                content = self._inflate_rest(content, limit)
        except zlib.error:
            raise ProtocolError("decompression failed") from None
        if len(content) > limit:
            raise PayloadTooBig(None, limit)
        return content

    def _inflate_rest(self, content: bytes, limit: int) -> bytes:
        """Inflate further DEFLATE streams, which follow a block with BFINAL set (RFC 7692, 7.2.3.4)."""
        for _ in range(_MAX_STREAMS):
            rest = self._inflater.unused_data
            if not rest or rest == _TAIL or len(content) > limit:
                return content
            self._inflater = zlib.decompressobj(self._remote_bits)
            content += self._inflater.decompress(rest, limit + 1 - len(content))
            if not self._inflater.eof:
                return content
        raise ProtocolError("too many DEFLATE streams in a message")

    def begin_message(self) -> None:
        """Reset the compression context, where that was negotiated."""
        if self._forgets_remote:
            self._inflater = zlib.decompressobj(self._remote_bits)

    def decode(self, frame: Frame, *, max_size: int | None = None) -> Frame:  # noqa: ARG002 - the library's signature
        """Inflate a frame for the library, which passes a `max_size` of 0 that zlib takes for no limit."""
        if frame.opcode & _CONTROL:
            return frame
        if frame.opcode is Opcode.CONT:
            if not self._in_message:
                return frame
            if frame.rsv1:
                raise ProtocolError("RSV1 bit set in continuation frame")
        elif frame.rsv1:
            self.begin_message()
            self._left = self.limit
        else:
            return frame
        self._in_message = not frame.fin
        data = self.inflate(bytes(frame.data), self._left, fin=frame.fin)
        self._left -= len(data)
        return Frame(frame.opcode, data, frame.fin, False, frame.rsv2, frame.rsv3)

    def encode(self, frame: Frame) -> Frame:
        """Return the library's own frames unchanged, because it only sends control frames."""
        return frame

    def _new_deflater(self) -> zlib._Compress:
        return zlib.compressobj(wbits=self._local_bits, **self._settings)


def negotiate_deflate(extensions: list[ExtensionHeader]) -> tuple[Deflate, bytes] | None:
    """Negotiate the compression that both sides support; returns it, and the field value that announces it."""
    for name, parameters in extensions:
        if name == _FACTORY.name:
            try:
                negotiated, extension = _FACTORY.process_request_params(parameters, [])
                return Deflate(extension), build_extension([(name, list(negotiated))]).encode("ascii")
            except (NegotiationError, ValueError):
                continue  # ValueError: zlib has no window of 8 bits
    return None
