"""Header block decoder of a connection (HPACK, RFC 7541, 3 and 6): blocks to fields, with the dynamic table they share.

Requests of a browser repeat most of their fields, as references of one byte, and differ in a few strings. A block that
consists of references only does not change the table, so its fields are remembered for as long as the table stays as it
is: a client that repeats a request repeats such a block.

Rejected: the decoder of `hpack`. For each field it makes two memoryviews, a tuple of a class of its own, and calls to a
logger: four times the CPU time. It is the second opinion of the tests.
"""

from __future__ import annotations

from hpack.table import HeaderTable

from corn.server.http2.frames import DEFAULT_TABLE, ErrorCode, HTTP2ConnectionError
from corn.server.http2.huffman import decode_huffman

Field = tuple[bytes, bytes]
Fields = list[Field]

_STATIC: tuple[Field, ...] = ((b"", b""), *HeaderTable.STATIC_TABLE)  # numbered from 1
_DYNAMIC = len(_STATIC)  # the number of the newest entry of the dynamic table
_OVERHEAD = 32  # of an entry (4.1)
_MAX_SHIFT = 28  # bits of an integer

_INDEXED, _WITH_INDEXING, _TABLE_SIZE = 0x80, 0x40, 0x20  # the first bit that is set tells them apart (6)
_HUFFMAN = 0x80

_REFERENCES = bytes(range(0x80, 0x100))  # each a field of the tables, in one byte
_MAX_CACHED = 16  # blocks of a connection
_MAX_CACHED_SIZE = 64  # as many fields: a hundred bytes are held for each


class _InvalidBlockError(ValueError):
    """Block that no encoder makes."""


class FieldDecoder:
    """HPACK decoder of one connection's blocks, in their order. `limit` bounds the size of a header list."""

    __slots__ = ("_cache", "_limit", "_max_size", "_size", "_table")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._cache: dict[bytes, Fields] = {}
        self._table: Fields = []  # the oldest entry first
        self._size = 0  # of the entries (4.1)
        self._max_size = DEFAULT_TABLE

    def decode(self, block: bytes) -> Fields:
        """Decoded fields, not to be changed; raises HTTP2ConnectionError, since an error loses the dynamic table."""
        known = self._cache.get(block)
        if known is not None:
            return known
        try:
            fields = self._decode(block)
        except (IndexError, ValueError):  # the first is the end of the block, or a number that is in no table
            raise HTTP2ConnectionError(ErrorCode.COMPRESSION_ERROR, "a header block cannot be decoded") from None
        if block.translate(None, _REFERENCES):
            self._cache.clear()
        elif len(block) <= _MAX_CACHED_SIZE and len(self._cache) < _MAX_CACHED:
            self._cache[block] = fields
        return fields

    def _decode(self, block: bytes) -> Fields:
        fields: Fields = []
        at, end, left = 0, len(block), self._limit
        while at < end:
            first = block[at]
            at += 1
            if first & _INDEXED:
                field = self._entry(first & 0x7F) if first < 0xFF else None
                if field is None:
                    number, at = _integer(block, at, 0x7F)
                    field = self._entry(number)
            elif first & _WITH_INDEXING or not first & _TABLE_SIZE:
                mask = 0x3F if first & _WITH_INDEXING else 0x0F
                number = first & mask
                if number == mask:
                    number, at = _integer(block, at, mask)
                if number:
                    name = self._entry(number)[0]
                else:
                    name, at = _string(block, at)
                value, at = _string(block, at)
                field = name, value
                if first & _WITH_INDEXING:
                    self._add(field)
            else:
                if fields:
                    raise _InvalidBlockError  # 4.2
                size = first & 0x1F
                if size == 0x1F:
                    size, at = _integer(block, at, 0x1F)
                self._resize(size)
                continue
            fields.append(field)
            left -= len(field[0]) + len(field[1]) + _OVERHEAD
            if left < 0:
                raise HTTP2ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, "a header list is too large")
        return fields

    def _entry(self, number: int) -> Field:
        """Field of the tables; raises IndexError for a number that is in none (2.3.3)."""
        if number >= _DYNAMIC:
            return self._table[_DYNAMIC - 1 - number]
        if not number:
            raise IndexError
        return _STATIC[number]

    def _add(self, field: Field) -> None:
        self._table.append(field)
        self._size += len(field[0]) + len(field[1]) + _OVERHEAD
        if self._size > self._max_size:
            self._evict()

    def _resize(self, size: int) -> None:
        if size > DEFAULT_TABLE:
            raise _InvalidBlockError
        self._max_size = size
        self._evict()

    def _evict(self) -> None:
        """Remove the oldest entries, down to the size of the table (4.3 and 4.4)."""
        count = 0
        while self._size > self._max_size:
            name, value = self._table[count]
            self._size -= len(name) + len(value) + _OVERHEAD
            count += 1
        del self._table[:count]


def _integer(block: bytes, at: int, prefix: int) -> tuple[int, int]:
    """Integer whose prefix is full, and the position after it (5.1)."""
    shift = 0
    while True:
        byte = block[at]
        at += 1
        prefix += (byte & 0x7F) << shift
        if byte < 0x80:
            return prefix, at
        shift += 7
        if shift > _MAX_SHIFT:
            raise _InvalidBlockError


def _string(block: bytes, at: int) -> tuple[bytes, int]:
    """String, and the position after it (5.2)."""
    first = block[at]
    at += 1
    size = first & 0x7F
    if size == 0x7F:
        size, at = _integer(block, at, 0x7F)
    data = block[at : at + size]
    if len(data) != size:
        raise _InvalidBlockError
    return decode_huffman(data) if first & _HUFFMAN else data, at + size
