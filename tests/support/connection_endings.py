"""Clients that end a connection, one function for each kind: what it sends on a connected socket, and how it closes."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
from collections.abc import Callable

from corn.server.http2.frames import DATA, HEADERS, PREFACE, RST_STREAM, SETTINGS, frame
from tests.support.certificates import client
from tests.support.hostile_clients import WEBSOCKET

Ending = Callable[[socket.socket], None]

HOST = b"Host: corn\r\n\r\n"
SETTLED = frame(SETTINGS, 1, 0, b"")
MESSAGE = b"\x82\xfe\xff\xff\0\0\0\0" + bytes(65535)
PROXIED = b"PROXY TCP4 192.0.2.1 192.0.2.2 1000 80\r\n"


def reset(sock: socket.socket) -> None:
    """Close so that the peer receives a reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def read_to_end(sock: socket.socket) -> bytes:
    received = b""
    with contextlib.suppress(OSError):
        while data := sock.recv(1 << 20):
            received += data
    return received


def get(path: bytes, fields: bytes = b"") -> bytes:
    return b"GET " + path + b" HTTP/1.1\r\n" + fields + HOST


# HTTP/1.1


def request_and_close(sock: socket.socket) -> None:
    sock.sendall(get(b"/"))
    assert sock.recv(1000)


def request_connection_close(sock: socket.socket) -> None:
    sock.sendall(get(b"/", b"Connection: close\r\n"))
    assert read_to_end(sock)


def send_nothing(_: socket.socket) -> None:
    pass


def close_during_head(sock: socket.socket) -> None:
    sock.sendall(b"GET / HT")


def reset_during_head(sock: socket.socket) -> None:
    sock.sendall(b"GET / HT")
    reset(sock)


def close_during_body(sock: socket.socket) -> None:
    sock.sendall(b"POST /body HTTP/1.1\r\nContent-Length: 100\r\n" + HOST + b"x")


def reset_during_chunks(sock: socket.socket) -> None:
    sock.sendall(b"POST /body HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + HOST + b"5\r\nhell")
    reset(sock)


def send_invalid_chunk(sock: socket.socket) -> None:
    sock.sendall(b"POST /body HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + HOST + b"no\r\n")
    assert read_to_end(sock)


def close_event_stream(sock: socket.socket) -> None:
    sock.sendall(get(b"/events"))
    assert sock.recv(1000)


def reset_during_response(sock: socket.socket) -> None:
    sock.sendall(get(b"/big"))
    assert sock.recv(1000)
    reset(sock)


def reset_during_parts(sock: socket.socket) -> None:
    sock.sendall(get(b"/parts"))
    assert sock.recv(1000)
    reset(sock)


def close_with_pipelined_requests(sock: socket.socket) -> None:
    sock.sendall(get(b"/big") * 10)
    assert sock.recv(1000)


def half_close(sock: socket.socket) -> None:
    sock.sendall(get(b"/"))
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_WR)
    read_to_end(sock)


def request_exception(sock: socket.socket) -> None:
    sock.sendall(get(b"/fail") + get(b"/fail-late"))
    assert read_to_end(sock)


def send_garbage(sock: socket.socket) -> None:
    sock.sendall(b"\0\1\2\3\r\n\r\n")
    read_to_end(sock)


def exceed_limits(sock: socket.socket) -> None:
    sock.sendall(get(b"/", b"X: " + b"x" * 70_000 + b"\r\n"))
    read_to_end(sock)


# WebSocket


def ws(sock: socket.socket) -> None:
    sock.sendall(WEBSOCKET)
    assert sock.recv(1000).startswith(b"HTTP/1.1 101")


def ws_close_without_close_frame(sock: socket.socket) -> None:
    ws(sock)


def ws_close_during_message(sock: socket.socket) -> None:
    ws(sock)
    sock.sendall(MESSAGE[:30_000])


def ws_close_without_reading(sock: socket.socket) -> None:
    ws(sock)
    for _ in range(20):
        sock.sendall(MESSAGE)


def ws_close_during_pings(sock: socket.socket) -> None:
    ws(sock)
    sock.sendall(b"\x89\x80\0\0\0\0" * 2000)


def ws_reset_with_unread_pongs(sock: socket.socket) -> None:
    """Send pings without reading the answers until the server accepts no more, and reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # or the kernel takes megabytes of answers
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    ws(sock)
    pings = (b"\x89\xfd\0\0\0\0" + bytes(125)) * 100
    sock.settimeout(0.2)
    with contextlib.suppress(TimeoutError):
        while True:
            sock.sendall(pings)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def ws_violate_protocol(sock: socket.socket) -> None:
    ws(sock)
    sock.sendall(b"\xff\x80\0\0\0\0")
    read_to_end(sock)


def ws_close_cleanly(sock: socket.socket) -> None:
    ws(sock)
    sock.sendall(b"\x88\x80\0\0\0\0")
    read_to_end(sock)


# HTTP/2


def head(stream: int, path: bytes = b"/", method: bytes = b"\x82", *, ends: bool = True) -> bytes:
    fields = method + b"\x86\x04" + bytes([len(path)]) + path + b"\x01\x04corn"
    return frame(HEADERS, 4 | ends, stream, fields)


def h2(sock: socket.socket, *frames: bytes, until: bytes = b"") -> None:
    """Begin, and read until so much of the response has arrived; at least the server's settings."""
    sock.sendall(PREFACE + frame(SETTINGS, 0, 0, b"") + b"".join(frames))
    read_until(sock, until or SETTLED)


def read_until(sock: socket.socket, wanted: bytes) -> None:
    received = b""
    while wanted not in received:
        received += sock.recv(1 << 20) or b"the end, without: " + wanted


def h2_request_and_close(sock: socket.socket) -> None:
    h2(sock, head(1), head(3), until=b"hello")


def h2_send_nothing(sock: socket.socket) -> None:
    h2(sock)


def h2_close_during_preface(sock: socket.socket) -> None:
    sock.sendall(PREFACE[:20])


def h2_close_during_body(sock: socket.socket) -> None:
    h2(sock, head(1, b"/body", b"\x83", ends=False), frame(DATA, 0, 1, b"x"))


def h2_reset_streams(sock: socket.socket) -> None:
    h2(sock, head(1, b"/events"), head(3, b"/big"), until=b"data: 1")
    sock.sendall(b"".join(frame(RST_STREAM, 0, stream, b"\0\0\0\x08") for stream in (1, 3)))


def h2_reset_with_open_streams(sock: socket.socket) -> None:
    h2(sock, head(1, b"/events"), head(3, b"/big"), head(5, b"/parts"), until=b"data: 1")
    reset(sock)


def h2_request_exception(sock: socket.socket) -> None:
    h2(sock, head(1, b"/fail-late"), head(3, b"/fail"), until=b"Internal Server Error")


def h2_violate_protocol(sock: socket.socket) -> None:
    h2(sock, head(1, b"/events"), frame(DATA, 0, 0, b""))
    read_to_end(sock)


def h2_send_malformed_request(sock: socket.socket) -> None:
    h2(sock, frame(HEADERS, 5, 1, b"\x82"), head(3, b"nowhere"), head(5), until=b"hello")


def h2_abandon_websocket(sock: socket.socket) -> None:
    connect = b"\x02\x07CONNECT\x86\x84\x01\x04corn\x00\x09:protocol\x09websocket"
    h2(sock, frame(HEADERS, 4, 1, connect), frame(DATA, 0, 1, b"\x82\x85\0\0\0\0hello"), until=b"hello")


def h2_close_websocket(sock: socket.socket) -> None:
    h2_abandon_websocket(sock)
    sock.sendall(frame(DATA, 1, 1, b"\x88\x80\0\0\0\0"))
    read_until(sock, b"\x88\0")


def upgrade_to_h2(sock: socket.socket) -> None:
    fields = b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: \r\n"
    sock.sendall(get(b"/events", fields) + PREFACE + frame(SETTINGS, 0, 0, b"") + head(3))
    read_until(sock, b"hello")


# TLS and PROXY, before any HTTP


def send_plain_text(sock: socket.socket) -> None:
    sock.sendall(get(b"/"))
    assert read_to_end(sock)


def close_during_handshake(sock: socket.socket) -> None:
    outgoing = ssl.MemoryBIO()
    tls = client().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    sock.sendall(outgoing.read())
    assert sock.recv(10)


def send_invalid_handshake(sock: socket.socket) -> None:
    sock.sendall(b"\x16\x03\x01\0\5" + bytes(5))
    read_to_end(sock)


def close_during_proxy_header(sock: socket.socket) -> None:
    sock.sendall(PROXIED[:20])


def send_invalid_proxy_header(sock: socket.socket) -> None:
    sock.sendall(b"PROXY NONSENSE\r\n")
    read_to_end(sock)


HTTP1: tuple[Ending, ...] = (
    request_and_close,
    request_connection_close,
    send_nothing,
    close_during_head,
    reset_during_head,
    close_during_body,
    reset_during_chunks,
    send_invalid_chunk,
    close_event_stream,
    reset_during_response,
    reset_during_parts,
    close_with_pipelined_requests,
    half_close,
    request_exception,
    send_garbage,
    exceed_limits,
)
WEBSOCKETS: tuple[Ending, ...] = (
    ws_close_without_close_frame,
    ws_close_during_message,
    ws_close_without_reading,
    ws_close_during_pings,
    ws_reset_with_unread_pongs,
    ws_violate_protocol,
    ws_close_cleanly,
)
HTTP2: tuple[Ending, ...] = (
    h2_request_and_close,
    h2_send_nothing,
    h2_close_during_preface,
    h2_close_during_body,
    h2_reset_streams,
    h2_reset_with_open_streams,
    h2_request_exception,
    h2_violate_protocol,
    h2_send_malformed_request,
    h2_abandon_websocket,
    h2_close_websocket,
)
