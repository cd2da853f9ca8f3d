"""Targets of the fuzzer: functions of bytes that raise for an input which breaks a promise.

Most compare two ways to read the same bytes: whole and in pieces, the quick path and the general one, corn and the
library of another project.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hpack import Decoder as ReferenceDecoder
from hpack import HPACKError
from websockets.extensions.permessage_deflate import PerMessageDeflate

from corn.config.env_file import parse_env
from corn.config.sources import ConfigFile, _parse, read_file
from corn.errors import ConfigError
from corn.ipc.channel import Decoder, encode
from corn.server.asgi.scope import Endpoints
from corn.server.http.errors import HTTPError
from corn.server.http.head import RequestHead
from corn.server.http1.body import ChunkedBody
from corn.server.http1.parser import parse_head
from corn.server.http1.unusual_head import parse_unusual_head
from corn.server.http2.field_decoder import FieldDecoder
from corn.server.http2.frames import FrameReader, HTTP2ConnectionError
from corn.server.proxy.addresses import canonical_ip
from corn.server.proxy.forwarded_headers import ForwardedHeaders
from corn.server.proxy.proxy_protocol import parse_proxy_header
from corn.server.proxy.trusted_networks import TrustedNetworks
from corn.server.websocket.deflate import Deflate
from corn.server.websocket.frames import FrameCodec
from tests.supervisor.control.test_commands import response_to

_MOST_FIELDS = 100
_CONTROL = "a control byte, or a line that does not end in CRLF"
_PEER = ("10.0.0.1", 1234)


def head(data: bytes) -> None:
    """A head is read alike by the quick parser and by the one for unusual heads."""
    block = data.partition(b"\r\n\r\n")[0]
    quick = _outcome(lambda: _values(parse_head(block, _MOST_FIELDS)), HTTPError)
    if quick == f"{HTTPError(400, _CONTROL)!r}" or block.count(b"\r\n") > _MOST_FIELDS:
        return
    assert quick == _outcome(lambda: _values(parse_unusual_head(block)), HTTPError), quick


def _values(parsed: RequestHead) -> dict[str, Any]:
    """Values of a head, but for the positions, which only the quick parser knows."""
    return {name: value for name, value in vars(parsed).items() if name != "forwarded_at"}


def chunked(data: bytes) -> None:
    """A chunked body is read alike whole and in pieces."""
    cuts, wire = _cuts(data)
    whole = _outcome(lambda: _body([wire]), HTTPError)
    assert whole == _outcome(lambda: _body(_pieces(wire, cuts)), HTTPError), whole


def forwarded(data: bytes) -> None:
    """Forwarding fields give a valid client and scheme, the same by the path for single values and by the other."""
    kind, _, rest = data.partition(b"\n")
    fields = ["forwarded"] if kind[:1] == b"f" else ["for", "proto", "host", "port", "prefix"]
    lines = (line.partition(b": ") for line in rest.split(b"\n"))
    headers = [(name, value.strip(b" \t")) for name, _, value in lines]  # as both parsers of heads leave them
    scopes = []
    for apply in (ForwardedHeaders.apply, _apply_lists):
        scope: dict[str, Any] = {
            "headers": list(headers),
            "client": _PEER,
            "scheme": "http",
            "root_path": "",
            "raw_path": b"/",
            "path": "/",
        }
        scope["server"] = ("127.0.0.1", 80)
        apply(ForwardedHeaders(TrustedNetworks(["*"]), fields), scope, _PEER)
        scopes.append(scope)
    assert scopes[0] == scopes[1], scopes
    host, port = scopes[0]["client"]
    assert canonical_ip(host) == host
    assert port is None or 0 <= port <= 65535
    assert scopes[0]["scheme"] in ("http", "https")


def _apply_lists(reader: ForwardedHeaders, scope: dict[str, Any], peer: Any) -> None:
    del peer
    reader._apply_lists(scope)


def proxy(data: bytes) -> None:
    """A PROXY header is incomplete until it is complete, and then leaves what follows it."""
    ends = Endpoints(("192.0.2.1", 1), ("192.0.2.2", 2), "http")
    result = _outcome(lambda: parse_proxy_header(data, ends), HTTPError)
    for end in range(min(len(data), 300)):
        part = _outcome(lambda end=end: parse_proxy_header(data[:end], ends), HTTPError)  # type: ignore[misc]
        if part is None:
            continue
        if isinstance(part, str):
            assert part == result, (part, result)
        else:
            assert isinstance(result, tuple), result
            assert (result[0], result[1]) == (part[0], part[1] + data[end:])
        return


def websocket(data: bytes) -> None:
    """WebSocket frames are read alike whole and in pieces, compressed or not."""
    cuts, wire = _cuts(data)
    compressed = bool(cuts and cuts[0] % 2)
    assert _messages([wire], compressed) == _messages(_pieces(wire, cuts), compressed)


def _messages(pieces: list[bytes], compressed: bool) -> tuple[list[str | bytes], Any, bytes]:
    codec = FrameCodec(1000, Deflate(PerMessageDeflate(False, False, 12, 12)) if compressed else None)
    messages: list[str | bytes] = []
    out = b""
    for piece in pieces:
        messages += codec.feed(piece, 1 << 20)
        while codec.holds and not codec.done:
            messages += codec.feed(b"", 1 << 20)
        out += codec.out
        codec.out = b""
    return messages, codec.end, out


def http2_frames(data: bytes) -> None:
    """HTTP/2 frames are read alike whole and in pieces, and an error comes at the same frame."""
    cuts, wire = _cuts(data)
    assert _frames([wire]) == _frames(_pieces(wire, cuts))


def _frames(pieces: list[bytes]) -> list[Any]:
    """The frames that are read, and the error behind them."""
    reader, found = FrameReader(4096), []
    try:
        for piece in pieces:
            for each in reader.feed(piece):
                found.append(each)
    except HTTP2ConnectionError as error:
        found.append(error.args)
    return found


def hpack(data: bytes) -> None:
    """Header blocks are decoded as by the library alone, whatever is remembered between them."""
    decoder, reference = FieldDecoder(65536), ReferenceDecoder(max_header_list_size=65536)
    for block in data.split(b"\xff\xfe"):
        expected = _outcome(lambda block=block: list(reference.decode(block, raw=True)), HPACKError)  # type: ignore[misc]
        found = _outcome(lambda block=block: decoder.decode(block), HTTP2ConnectionError)  # type: ignore[misc]
        if isinstance(expected, str):
            assert isinstance(found, str), found
            return
        assert found == expected


def control(data: bytes) -> None:
    """Each request on the control socket gets one answer, or waits for what it asked for."""
    try:
        request = json.loads(data)
    except (ValueError, RecursionError):
        return
    if isinstance(request, dict) and str(request.get("do")) not in ("stacks", "requests"):
        reply = response_to(request)
        assert len(reply.answers) == 1 or (not reply.answers and reply.condition is not None)


def channel(data: bytes) -> None:
    """Messages are read alike whole and in pieces, and each is written as it was read."""
    cuts, wire = _cuts(data)
    whole, parts = Decoder(), Decoder()
    messages = whole.feed(wire)
    assert messages == [each for piece in _pieces(wire, cuts) for each in parts.feed(piece)]
    assert whole.invalid_lines == parts.invalid_lines
    for message in messages:
        assert Decoder().feed(encode(message)) == [message]


def toml(data: bytes) -> None:
    """A configuration file is read, or refused with a ConfigError that names it."""
    try:
        table = _parse("corn.toml", data.decode("utf-8", "replace"))
        read_file(ConfigFile(Path("corn.toml"), "corn.toml", table))
    except ConfigError as error:
        assert "corn.toml" in str(error)  # noqa: PT017


def env_file(data: bytes) -> None:
    """An env file is read, or refused with a ValueError that names the line."""
    try:
        variables = parse_env(data.decode("utf-8", "replace"), {"HOME": "/root"})
    except ValueError as error:
        assert "line" in str(error)  # noqa: PT017
        return
    assert all(name and "=" not in name for name in variables)


TARGETS: dict[str, Callable[[bytes], None]] = {
    each.__name__: each
    for each in (
        *(head, chunked, forwarded, proxy, websocket, http2_frames, hpack),
        *(control, channel, toml, env_file),
    )
}


def _outcome(read: Callable[[], Any], refusal: type[Exception]) -> Any:
    """What a reader returns, or its refusal as text."""
    try:
        return read()
    except refusal as error:
        return repr(error)


def _cuts(data: bytes) -> tuple[list[int], bytes]:
    """Places to cut at, which the first bytes of an input choose, and the rest of it."""
    return list(data[1 : 1 + data[0] % 8]) if data else [], data[8:]


def _pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[start:end] for start, end in itertools.pairwise(places)]


def _body(pieces: list[bytes]) -> tuple[bytes, bool, bytes]:
    decoder, content, rest = ChunkedBody(1000, 100_000), b"", b""
    for piece in pieces:
        if decoder.done:
            rest += piece
        else:
            content += decoder.feed(piece)
        while decoder.holds:
            content += decoder.feed(b"")
    return content, decoder.done, decoder.rest + rest
