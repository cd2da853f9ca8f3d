"""TLS connections: requests, handshakes, client certificates, and the ASGI extension."""

import asyncio
import json
import os
import socket
import ssl

import pytest
from websockets.asyncio.client import connect

from corn.config import Config
from corn.errors import ConfigError
from corn.server.tls.context import TLSContexts
from corn.server.tls.handshake import TLSHandshake, escape
from corn.tls.credentials import read_credentials
from tests.support.asgi_server import echo, hello, serving, until
from tests.support.certificates import Issued, authorities, client

GET = b"GET / HTTP/1.1\r\nHost: corn\r\n\r\n"
LAST = b"GET / HTTP/1.1\r\nHost: corn\r\nConnection: close\r\n\r\n"


def tls_of(*issued, **options):
    config = Config(
        ssl_certfile=tuple(str(each.certfile) for each in issued),
        ssl_keyfile=tuple(str(each.keyfile) for each in issued),
        **options,
    )
    return TLSContexts(config, read_credentials(config))


async def show_scope(scope, receive, send):
    shown = {key: scope[key] for key in ("scheme", "client", "extensions")}
    body = json.dumps(shown, default=str).encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


def test_requests_on_one_connection_are_answered(run, tmp_path):
    async def main():
        async with serving(hello, tls=tls_of(Issued(tmp_path, "a"))) as running:
            peer = await running.connect(ssl=client(), server_hostname="localhost")
            for _ in range(3):
                assert (await peer.request(GET)).body == b"hello"
            assert (await peer.request(LAST)).body == b"hello"
            assert await peer.is_closed()

    run(main())


def test_large_body_is_echoed(run, tmp_path):
    body = os.urandom(3_000_000)

    async def main():
        async with serving(echo, tls=tls_of(Issued(tmp_path, "a"))) as running:
            peer = await running.connect(ssl=client(), server_hostname="localhost")
            await peer.send(b"POST / HTTP/1.1\r\nHost: corn\r\nContent-Length: %d\r\n\r\n" % len(body))
            await peer.send(body)
            assert (await peer.answer()).body == body

    run(main())


def test_scope_has_https_scheme_and_tls_extension(run, tmp_path):
    issued = Issued(tmp_path, "a")

    async def main():
        async with serving(show_scope, tls=tls_of(issued)) as running:
            peer = await running.connect(ssl=client(), server_hostname="localhost")
            return json.loads((await peer.request(GET)).body)

    scope = run(main())
    assert scope["scheme"] == "https"
    assert set(scope["extensions"]) == {"corn.drain", "http.response.early_hint", "tls"}
    tls = scope["extensions"]["tls"]
    assert tls["server_cert"] == issued.certificate.decode()
    assert tls["tls_version"] == 0x0304
    assert tls["cipher_suite"] >> 8 == 0x13
    assert tls["client_cert_chain"] == []
    assert tls["client_cert_name"] is None
    assert tls["client_cert_error"] is None


def test_websocket_scope_has_tls_extension(run, tmp_path):
    async def app(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        tls = scope["extensions"]["tls"]
        await send({"type": "websocket.send", "text": f"{scope['scheme']} {tls['tls_version']:#06x}"})
        await receive()

    async def main():
        async with serving(app, tls=tls_of(Issued(tmp_path, "a"))) as running:
            url = f"wss://localhost:{running.address[1]}/"
            async with connect(url, ssl=client(), proxy=None) as peer:
                received = await peer.recv()
            peer.transport.abort()  # asyncio of Python 3.10 warns of a transport that only the server has closed
            return received

    assert run(main()) == "wss 0x0304"


def test_client_certificate_is_in_scope(run, tmp_path):
    own = Issued(tmp_path, "client", "someone@example.com", common_name="Some, one", organization_name="Corn")
    tls = tls_of(Issued(tmp_path, "a"), ssl_ca_certs=authorities(tmp_path), ssl_cert_reqs="required")

    async def main():
        async with serving(show_scope, tls=tls) as running:
            peer = await running.connect(ssl=client(own=own), server_hostname="localhost")
            return json.loads((await peer.request(GET)).body)

    seen = run(main())["extensions"]["tls"]
    assert seen["client_cert_chain"][0].strip() == own.certificate.decode().split("-----END CERTIFICATE-----")[
        0
    ].strip() + ("\n-----END CERTIFICATE-----")
    assert "CN=Some\\, one" in seen["client_cert_name"]


def test_client_without_required_certificate_is_refused(run, tmp_path):
    tls = tls_of(Issued(tmp_path, "a"), ssl_ca_certs=authorities(tmp_path), ssl_cert_reqs="required")
    asked = []

    async def app(scope, receive, send):
        asked.append(scope)

    async def main():
        async with serving(app, tls=tls) as running:
            with pytest.raises(OSError):
                peer = await running.connect(ssl=client(), server_hostname="localhost")
                await peer.request(GET)
            await until(lambda: running.server._service.metrics.open == 0)

    run(main())
    assert not asked


def test_server_name_selects_certificate(run, tmp_path):
    first, second = Issued(tmp_path, "a", "a.test"), Issued(tmp_path, "b", "b.test", "*.b.test")

    async def main():
        async with serving(show_scope, tls=tls_of(first, second)) as running:
            shown = []
            for name in ("a.test", "b.test", "x.b.test"):
                peer = await running.connect(ssl=client(), server_hostname=name)
                shown.append(json.loads((await peer.request(GET)).body)["extensions"]["tls"]["server_cert"])
            with pytest.raises(ssl.SSLCertVerificationError):
                await running.connect(ssl=client(), server_hostname="unknown.test")
            return shown

    assert run(main()) == [each.certificate.decode() for each in (first, second, second)]


def test_plain_http_request_gets_400_naming_https(run, tmp_path):
    async def main():
        async with serving(hello, tls=tls_of(Issued(tmp_path, "a"))) as running:
            peer = await running.connect(GET)
            answer = await peer.answer()
            assert answer.status == 400
            assert b"HTTPS" in answer.body
            assert await peer.is_closed()

    run(main())


@pytest.mark.parametrize("data", [b"\x00" * 40, b"\x80\x2e\x01\x00\x02", b"\x16\x03\x01\x00\x05hello"])
def test_handshake_with_invalid_bytes_closes_connection(run, tmp_path, data):
    async def main():
        async with serving(hello, tls=tls_of(Issued(tmp_path, "a"))) as running:
            peer = await running.connect(data)
            assert b"HTTP" not in await _rest(peer)
            peer.close()
            await until(lambda: running.server._service.metrics.open == 0)

    run(main())


async def _rest(peer):
    try:
        return await peer.everything()
    except ConnectionError:
        return b""


@pytest.mark.parametrize("data", [b"", b"\x16\x03\x01"])
def test_handshake_timeout_closes_connection(run, tmp_path, data):
    async def main():
        async with serving(hello, tls=tls_of(Issued(tmp_path, "a"), timeout_handshake=0.3)) as running:
            peer = await running.connect(data)
            assert await peer.is_closed()
            await until(lambda: running.server._service.metrics.open == 0)

    run(main())


@pytest.mark.parametrize("pause", [0, 0.6])
def test_drain_finishes_begun_handshake_and_request(run, tmp_path, pause):
    """The drain begins amid the ClientHello; the rest of it follows, at once or slowly, and then the request."""

    async def main():
        async with serving(hello, tls=tls_of(Issued(tmp_path, "a"))) as running:
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            tls = client().wrap_bio(incoming, outgoing, server_hostname="localhost")
            with pytest.raises(ssl.SSLWantReadError):
                tls.do_handshake()
            hello_bytes = outgoing.read()
            peer = await running.connect(hello_bytes[:20])
            service = running.server._service
            await until(lambda: any(isinstance(each, TLSHandshake) for each in service.connections))
            running.server.drain(grace=10, final=False)
            for part in (hello_bytes[20:60], hello_bytes[60:100], hello_bytes[100:]):
                began = service.clock.now
                await until(lambda began=began: service.clock.now >= began + pause)
                await peer.send(part)
            while True:
                try:
                    tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    incoming.write(await peer.reader.read(65536))
            tls.write(GET)
            await peer.send(outgoing.read())
            answer = b""
            while data := await peer.reader.read(65536):
                incoming.write(data)
                try:
                    while part := tls.read(65536):
                        answer += part
                except ssl.SSLError:
                    pass
            assert answer.startswith(b"HTTP/1.1 200")
            assert b"connection: close" in answer

    run(main())


def test_final_drain_does_not_wait_for_handshake(run, tmp_path):
    async def main():
        async with serving(hello, tls=tls_of(Issued(tmp_path, "a"), timeout_handshake=100)) as running:
            await running.connect(b"\x16\x03")
            await until(lambda: running.server._service.metrics.open == 1)
            running.server.drain(grace=30, final=True)
            await running.server.wait_closed()

    run(main())


def test_client_close_notify_does_not_cut_response(run, tmp_path):
    """close_notify of the client while the application runs, like a half-closed TCP connection."""
    may_respond = asyncio.Event()

    async def slow(scope, receive, send):
        await may_respond.wait()
        await hello(scope, receive, send)

    async def main():
        async with serving(slow, tls=tls_of(Issued(tmp_path, "a"))) as running:
            sock = socket.create_connection(running.address)
            sock.setblocking(False)
            loop = asyncio.get_running_loop()
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            tls = client().wrap_bio(incoming, outgoing, server_hostname="localhost")
            while True:
                try:
                    tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    await loop.sock_sendall(sock, outgoing.read())
                    incoming.write(await loop.sock_recv(sock, 65536))
            tls.write(GET)
            with pytest.raises(ssl.SSLWantReadError):
                tls.unwrap()
            await loop.sock_sendall(sock, outgoing.read())
            await until(lambda: running.server._service.running)
            may_respond.set()
            received = b""
            while data := await loop.sock_recv(sock, 65536):
                received += data
            sock.close()
            assert len(received) > 100  # encrypted: the tickets and the answer

    run(main())


def test_pathsend_over_tls_sends_file(run, tmp_path):
    content = os.urandom(700_001)
    path = tmp_path / "file"
    path.write_bytes(content)

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.pathsend", "path": str(path)})

    async def main():
        async with serving(app, tls=tls_of(Issued(tmp_path, "a"))) as running:
            peer = await running.connect(ssl=client(), server_hostname="localhost")
            assert (await peer.request(GET)).body == content
            assert (await peer.request(LAST)).body == content

    run(main())


def test_proxy_header_precedes_tls(run, tmp_path):
    async def main():
        async with serving(show_scope, tls=tls_of(Issued(tmp_path, "a")), proxy_protocol=True) as running:
            sock = socket.create_connection(running.address)
            sock.sendall(b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 443\r\n")
            reader, writer = await asyncio.open_connection(sock=sock, ssl=client(), server_hostname="localhost")
            writer.write(LAST)
            answer = await reader.read()
            writer.transport.abort()
            return json.loads(answer.partition(b"\r\n\r\n")[2])

    scope = run(main())
    assert scope["client"] == ["192.0.2.7", 4711]
    assert scope["scheme"] == "https"


def test_renewed_certificate_applies_to_new_connections_only(run, tmp_path):
    first, second = Issued(tmp_path, "a"), Issued(tmp_path, "b")
    tls = tls_of(first)

    async def main():
        async with serving(show_scope, tls=tls) as running:
            old = await running.connect(ssl=client(), server_hostname="localhost")
            await old.request(GET)
            config = Config(**second.options())
            tls.renew(read_credentials(config))
            new = await running.connect(ssl=client(), server_hostname="localhost")
            return [
                json.loads((await peer.request(GET)).body)["extensions"]["tls"]["server_cert"] for peer in (old, new)
            ]

    assert run(main()) == [first.certificate.decode(), second.certificate.decode()]


def test_min_version_option_refuses_tls_1_2(run, tmp_path):
    old = client()
    old.maximum_version = ssl.TLSVersion.TLSv1_2

    async def main():
        async with serving(show_scope, tls=tls_of(Issued(tmp_path, "a"))) as running:
            peer = await running.connect(ssl=old, server_hostname="localhost")
            assert json.loads((await peer.request(GET)).body)["extensions"]["tls"]["tls_version"] == 0x0303
        async with serving(hello, tls=tls_of(Issued(tmp_path, "a"), ssl_min_version="1.3")) as running:
            with pytest.raises(ssl.SSLError):
                await running.connect(ssl=old, server_hostname="localhost")

    run(main())


def test_damaged_record_closes_connection(run, tmp_path):
    async def main():
        async with serving(hello, tls=tls_of(Issued(tmp_path, "a"))) as running:
            peer = await running.connect(ssl=client(), server_hostname="localhost")
            await peer.request(GET)
            raw = peer.writer.transport.get_extra_info("socket")
            os.write(raw.fileno(), b"\x17\x03\x03\x00\x20" + b"x" * 32)
            await until(lambda: running.server._service.metrics.open == 0)

    run(main())


def test_distinguished_name_is_escaped_per_rfc_4514():
    assert escape(' #a,b+c"d\\e<f>g;h ') == '\\ #a\\,b\\+c\\"d\\\\e\\<f\\>g\\;h\\ '
    assert escape("#a") == "\\#a"


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda a, b: a.keyfile.write_bytes(b.key), "the key does not match the certificate"),
        (lambda a, b: a.certfile.write_bytes(a.certificate[:300]), "holds no certificate in PEM form"),
        (lambda a, b: a.keyfile.write_bytes(b""), "holds no private key in PEM form"),
        (lambda a, b: a.keyfile.unlink(), "cannot read"),
    ],
)
def test_unusable_credentials_are_config_error(tmp_path, change, line):
    a, b = Issued(tmp_path, "a"), Issued(tmp_path, "b")
    change(a, b)
    with pytest.raises(ConfigError, match=line):
        tls_of(a)
