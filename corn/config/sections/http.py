"""Options of the application interface, HTTP and proxies."""

from __future__ import annotations

import ipaddress
import re
from typing import Literal

from corn.config.options import option, section
from corn.config.types import AnyText, Choice, Flag, Integer, ListOf, Size
from corn.frozen import frozen

_FIELD = re.compile(r"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)")


@frozen
class HeaderField:
    """Response header, `Name: value`."""

    metavar: str = "NAME:VALUE"
    annotation: str = "str"

    def parse(self, raw: object) -> str:
        match = _FIELD.fullmatch(raw.strip()) if isinstance(raw, str) else None
        if match is None:
            raise ValueError("expected a header such as 'X-Frame-Options: DENY'")
        return f"{match[1]}: {match[2].strip()}"

    def show(self, value: str) -> str:
        return value


@frozen
class Network:
    """Address, network in CIDR notation, or `*` for all."""

    metavar: str = "NETWORK"
    annotation: str = "str"

    def parse(self, raw: object) -> str:
        if raw == "*":
            return "*"
        try:
            return str(ipaddress.ip_network(str(raw), strict=False))
        except ValueError:
            raise ValueError("expected an address, a network such as 10.0.0.0/8, or *") from None

    def show(self, value: str) -> str:
        return value


WORKER = "Worker"
HTTP = "HTTP"


@section
class WorkerOptions:
    loop: Literal["uvloop", "asyncio"] = option(
        "uvloop", Choice(("uvloop", "asyncio")), "Event loop implementation.", WORKER
    )
    lifespan: Literal["auto", "on", "off"] = option(
        "auto",
        Choice(("auto", "on", "off")),
        "Run the application's lifespan; auto runs it if the application supports it.",
        WORKER,
    )
    interface: Literal["auto", "asgi3", "asgi2", "wsgi"] = option(
        "auto",
        Choice(("auto", "asgi3", "asgi2", "wsgi")),
        "Protocol the application is called with; auto detects it from the callable.",
        WORKER,
    )
    wsgi_threads: int = option(
        10,
        Integer(1, 1000),
        "Maximum threads per worker that call a WSGI application; further requests wait for a free one.",
        WORKER,
    )
    wsgi_header_map: Literal["drop", "refuse", "keep"] = option(
        "drop",
        Choice(("drop", "refuse", "keep")),
        "Handling of header fields with an underscore in their name, which WSGI cannot distinguish from those "
        "with a hyphen: drop the field, refuse the request with 400, or keep it.",
        WORKER,
    )
    wsgi_buffer_body: int = option(
        1024**3,
        Size(),
        "Maximum size of a request body without Content-Length, which is read before a WSGI application is called, so "
        "that it has CONTENT_LENGTH; beyond 1 MiB it is in a temporary file. A larger body is refused with 413. 0 "
        "disables: such bodies are streamed, of any size and without CONTENT_LENGTH.",
        WORKER,
    )
    root_path: str = option(
        "",
        AnyText("PATH"),
        "Path prefix under which a proxy exposes the application (ASGI root_path, WSGI SCRIPT_NAME).",
        WORKER,
    )
    root_path_stripped: Literal["auto", "yes", "no"] = option(
        "auto",
        Choice(("auto", "yes", "no")),
        "Set to yes if the proxy removes --root-path from request paths, to no if it keeps it; auto adds it to paths "
        "that do not begin with it. The application's path always includes it.",
        WORKER,
    )
    pathsend: bool = option(
        False,
        Flag(),
        "Offer applications the ASGI extension http.response.pathsend, with which FileResponse sends files without "
        "reading them. Off by default, because middleware that compresses or reads bodies does not see such files.",
        WORKER,
    )


@section
class HTTPOptions:
    http: Literal["auto", "1", "2"] = option(
        "auto",
        Choice(("auto", "1", "2")),
        "HTTP/1.1 and, with the extra 'http2', HTTP/2 (auto), HTTP/1.1 only (1), or HTTP/2 only (2).",
        HTTP,
    )
    h2c_upgrade: bool = option(
        False,
        Flag(),
        "Switch to HTTP/2 for plain-text clients that send 'Upgrade: h2c'. Leave it off behind a proxy: one that "
        "passes the field on no longer sees the requests.",
        HTTP,
    )
    proxy_headers: bool = option(
        True, Flag(), "Take the client's address and scheme from the headers of trusted proxies.", HTTP
    )
    proxy_fields: tuple[Literal["for", "proto", "host", "port", "prefix", "forwarded"], ...] = option(
        ("for", "proto"),
        ListOf(Choice(("for", "proto", "host", "port", "prefix", "forwarded"))),
        "X-Forwarded-* fields to use, or forwarded for RFC 7239 instead; the proxy must set or remove each of them.",
        HTTP,
    )
    forwarded_allow_ips: tuple[str, ...] = option(
        ("127.0.0.1/32", "::1/128"),
        ListOf(Network()),
        "Proxies whose headers are trusted: addresses, networks, or *. Peers on a Unix socket are trusted.",
        HTTP,
        variables=("FORWARDED_ALLOW_IPS",),
    )
    proxy_protocol: bool = option(
        False, Flag(), "Expect the PROXY protocol, version 1 or 2, at the start of connections from proxies.", HTTP
    )
    proxy_protocol_allow_ips: tuple[str, ...] = option(
        ("127.0.0.1/32", "::1/128"),
        ListOf(Network()),
        "Proxies that must speak the PROXY protocol; other peers may not. Peers on a Unix socket may.",
        HTTP,
    )
    header: tuple[str, ...] = option(
        (), ListOf(HeaderField()), "Add this header to every response; may be repeated.", HTTP
    )
    server_header: bool = option(True, Flag(), "Send a Server header.", HTTP)
    date_header: bool = option(True, Flag(), "Send a Date header.", HTTP)
