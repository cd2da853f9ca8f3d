"""TLS transport: a transport for the upper protocol, and a protocol for the lower transport.

    protocol (HTTP/1.1, ...)      sees plain bytes
    TLSStream                     ssl.MemoryBIO and ssl.SSLObject: OpenSSL without a socket
    the loop's transport          sees records (RFC 8446, 5)

asyncio and uvloop have TLS layers too. This one is cheaper for each request (docs/explanation/decisions/0012): it reads
only the complete records, so that OpenSSL does not raise an exception when there are no more, and an idle connection
has no buffer. A close_notify ends one direction only, as a FIN does in plain TCP. A connection that ends without one is
treated as if it had been sent, because HTTP marks the end of a message itself (RFC 9112, 9.8).
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Iterable
from typing import Any

from corn.logs import logger

_READ_SIZE = 1 << 14  # the size of a record; a larger buffer would take more time than the decryption


class TLSStream(asyncio.Transport):
    """TLS transport of a connection after its handshake. It delegates all other calls to the lower transport."""

    __slots__ = (
        "_incoming",
        "_object",
        "_outgoing",
        "_protocol",
        "_read_closed",
        "_stays_open",
        "_write_closed",
        "raw",
    )

    _protocol: Any

    def __init__(
        self, raw: asyncio.Transport, tls_object: ssl.SSLObject, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO
    ) -> None:
        super().__init__()
        self.raw = raw
        self._object = tls_object
        self._incoming = incoming
        self._outgoing = outgoing
        self._read_closed = False  # the peer sends no more
        self._stays_open = False  # the protocol's return value for that
        self._write_closed = False  # corn sends no more

    # Called by the lower transport

    def data_received(self, data: bytes) -> None:
        """Receive records, or parts of them."""
        if self._write_closed or self._read_closed:
            self._protocol.data_received(data)  # not decrypted: a lingering close only counts bytes
            return
        self._incoming.write(data)
        self.deliver()

    def deliver(self) -> None:
        """Pass the content of the complete records to the protocol."""
        incoming, parts = self._incoming, []
        try:
            while incoming.pending:
                part = self._object.read(_READ_SIZE)
                if not part:
                    self._read_closed = True
                    break
                parts.append(part)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            self._fail(error)
            return
        if self._outgoing.pending:
            self.raw.write(self._outgoing.read())
        if parts:
            self._protocol.data_received(parts[0] if len(parts) == 1 else b"".join(parts))
        if self._read_closed and not self.raw.is_closing():
            self._stays_open = bool(self._protocol.eof_received())
            if not self._stays_open:
                self.close()

    def eof_received(self) -> bool:
        """Handle the end of the TCP stream, with or without a close_notify before it."""
        if not self._read_closed:
            self._read_closed = True
            self._stays_open = bool(self._protocol.eof_received())
        return self._stays_open

    def connection_lost(self, exc: Exception | None) -> None:
        protocol, self._protocol = self._protocol, None  # which refers to this transport
        protocol.connection_lost(exc)

    def pause_writing(self) -> None:
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        self._protocol.resume_writing()

    # Called by the protocol above

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._write_closed or not data:
            return
        try:
            written = self._object.write(data)
            if written < len(data):
                self._write_rest(memoryview(data)[written:])
        except ssl.SSLError as error:
            self._fail(error)
            return
        self.raw.write(self._outgoing.read())

    def _write_rest(self, rest: memoryview) -> None:
        """Write in pieces, because OpenSSL takes one record of at most 16 KiB at a time."""
        while rest:
            rest = rest[self._object.write(rest) :]

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        return self.raw.can_write_eof()

    def write_eof(self) -> None:
        self._send_close_notify()
        self.raw.write_eof()

    def close(self) -> None:
        self._send_close_notify()
        self.raw.close()

    def abort(self) -> None:
        self._write_closed = True
        self.raw.abort()

    def is_closing(self) -> bool:
        return self.raw.is_closing()

    def is_reading(self) -> bool:
        return self.raw.is_reading()

    def pause_reading(self) -> None:
        self.raw.pause_reading()

    def resume_reading(self) -> None:
        self.raw.resume_reading()

    def get_write_buffer_size(self) -> int:
        return self.raw.get_write_buffer_size()

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self.raw.get_write_buffer_limits()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.raw.set_write_buffer_limits(high, low)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        protocol: asyncio.BaseProtocol = self._protocol
        return protocol

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._object if name == "ssl_object" else self.raw.get_extra_info(name, default)

    def _send_close_notify(self) -> None:
        """Send close_notify (RFC 8446, 6.1), once, without waiting for the answer."""
        if not self._write_closed:
            self._write_closed = True
            with contextlib.suppress(ssl.SSLError):
                self._object.unwrap()
            if self._outgoing.pending and not self.raw.is_closing():
                self.raw.write(self._outgoing.read())

    def _fail(self, error: ssl.SSLError) -> None:
        """Handle an invalid record: send the alert and abort, because nothing after it can be trusted."""
        logger.debug("TLS connection aborted: %s", error.reason)
        self._write_closed = True
        if self._outgoing.pending and not self.raw.is_closing():
            self.raw.write(self._outgoing.read())
        self.raw.close()
