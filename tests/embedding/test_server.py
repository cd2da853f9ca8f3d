"""`corn.Server` in a running event loop, in a thread, and with objects of the program."""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import socket
import ssl
import threading
import time

import pytest

import corn
from corn import logs
from corn.errors import ApplicationError, BindError, ConfigError, CornError
from tests.support.certificates import Issued, client
from tests.support.http_client import Client

DEADLINE = 20
OPTIONS = {"port": 0, "lifespan": "off", "access_log": False}


async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": scope["scheme"].encode()})


def wsgi_app(environ, start_response):
    start_response("200 OK", [])
    return [b"wsgi"]


async def ask(address, path="/"):
    return await asyncio.get_running_loop().run_in_executor(None, Client(address).get, path)


def is_closed(address):
    host, _, port = address.rpartition("/")[2].rpartition(":")
    with socket.socket() as sock:
        return sock.connect_ex((host, int(port))) != 0


def test_server_serves_within_async_with():
    async def main():
        server = corn.Server(app, **OPTIONS)
        assert (server.ready, server.addresses) == (False, [])
        async with server as entered:
            assert entered is server
            assert server.ready
            (address,) = server.addresses
            assert await ask(address) == "http"
        assert not server.ready
        assert is_closed(address)

    asyncio.run(main())


def test_server_started_manually_stops_twice_and_serves_once():
    async def main():
        server = corn.Server(app, **OPTIONS)
        await server.stop()
        await server.start()
        assert await ask(server.addresses[0]) == "http"
        await asyncio.gather(server.stop(), server.stop())
        with pytest.raises(RuntimeError, match="make another one"):
            await server.start()

    asyncio.run(main())


def test_server_in_thread_serves_within_with():
    with corn.Server(wsgi_app, **OPTIONS) as server:
        assert Client(server.addresses[0]).get() == "wsgi"
    assert not server.ready
    assert is_closed(server.addresses[0])


def test_server_in_thread_serves_beside_running_event_loop():
    async def main():
        with corn.Server(app, **OPTIONS) as server:
            assert await ask(server.addresses[0]) == "http"
            await server.stop()
            assert not server.ready

    asyncio.run(main())


def test_server_in_thread_raises_start_failure():
    async def broken(scope, receive, send):
        raise RuntimeError("no database")

    before = threading.enumerate()
    with pytest.raises(ApplicationError, match="no database"), corn.Server(broken, port=0, lifespan="on"):
        pass
    with corn.Server(app, **OPTIONS) as first:
        port = int(first.addresses[0].rpartition(":")[2])
        with pytest.raises(BindError, match="already in use"), corn.Server(app, port=port):
            pass
    assert not [each for each in threading.enumerate() if each not in before]


def test_run_in_thread_returns_after_stop_soon():
    server = corn.Server(app, **OPTIONS)
    thread = threading.Thread(target=server.run)
    thread.start()
    deadline = time.monotonic() + DEADLINE
    while not server.ready and time.monotonic() < deadline:
        time.sleep(0.01)
    assert Client(server.addresses[0]).get() == "http"
    server.stop_soon()
    thread.join(DEADLINE)
    assert not thread.is_alive()


def test_stop_soon_before_start_makes_run_return():
    server = corn.Server(app, **OPTIONS)
    server.stop_soon()
    thread = threading.Thread(target=server.run)
    thread.start()
    thread.join(DEADLINE)
    assert not thread.is_alive()


def test_stop_without_grace_cancels_requests():
    async def main():
        started = asyncio.Event()

        async def endless(scope, receive, send):
            started.set()
            await asyncio.Event().wait()

        async with corn.Server(endless, **OPTIONS) as server:
            request = asyncio.ensure_future(ask(server.addresses[0]))
            await asyncio.wait_for(started.wait(), DEADLINE)
            await asyncio.wait_for(server.stop(grace=0), DEADLINE)
            with pytest.raises((ConnectionError, OSError)):
                await request

    asyncio.run(main())


def test_failed_start_leaves_no_timer_and_no_task():
    async def hangs(scope, receive, send):
        await receive()
        await asyncio.sleep(DEADLINE)

    async def main():
        server = corn.Server(hangs, port=0, lifespan="on", timeout_boot=0.2, timeout_lifespan_shutdown=0.1)
        with pytest.raises(ApplicationError, match=r"did not start within timeout_boot \(0.2 s\)"):
            await server.start()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert not [each for each in asyncio.get_running_loop()._scheduled if not each.cancelled()]

    asyncio.run(main())


def test_factory_application_is_called():
    async def main():
        async with corn.Server(lambda: app, factory=True, **OPTIONS) as server:
            assert await ask(server.addresses[0]) == "http"
        with pytest.raises(ApplicationError, match=r"the factory failed: ZeroDivisionError"):
            await corn.Server(lambda: 1 / 0, factory=True, **OPTIONS).start()
        with pytest.raises(ConfigError, match=r"an application is a callable, or a name"):
            await corn.Server(5, **OPTIONS).start()

    asyncio.run(main())


def test_ssl_context_of_program_serves_https(tmp_path):
    issued = Issued(tmp_path, "own")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(issued.certfile, issued.keyfile)
    with corn.Server(app, ssl_context=context, **OPTIONS) as server:
        assert server.addresses[0].startswith("https://")
        host, port = server.addresses[0].rpartition("/")[2].split(":")
        with (
            socket.create_connection((host, int(port)), DEADLINE) as plain,
            client().wrap_socket(plain, server_hostname="localhost") as sock,
        ):
            sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            with sock.makefile("rb") as file:
                assert file.read().endswith(b"https")
    with pytest.raises(ConfigError, match="cannot be combined"):
        corn.Server(app, ssl_context=context, **issued.options())


def test_ssl_context_function_changes_context_of_certificate(tmp_path):
    issued = Issued(tmp_path, "own")
    seen = []

    def require_tls_1_3(config, default):
        seen.append(config.ssl_certfile)
        context = default()
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        return context

    with corn.Server(app, ssl_context=require_tls_1_3, **issued.options(), **OPTIONS) as server:
        host, port = server.addresses[0].rpartition("/")[2].split(":")
        old = client()
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        with (
            socket.create_connection((host, int(port)), DEADLINE) as plain,
            pytest.raises(ssl.SSLError),
            old.wrap_socket(plain, server_hostname="localhost"),
        ):
            pass
        with (
            socket.create_connection((host, int(port)), DEADLINE) as plain,
            client().wrap_socket(plain, server_hostname="localhost") as sock,
        ):
            assert sock.version() == "TLSv1.3"
    assert seen == [(str(issued.certfile),)]
    with pytest.raises(ConfigError, match="give that too"):
        corn.Server(app, ssl_context=require_tls_1_3, **OPTIONS)
    with pytest.raises(ConfigError, match="hook ssl_context failed: ZeroDivisionError"):
        corn.Server(app, ssl_context=lambda config, default: 1 / 0, **issued.options(), **OPTIONS).__enter__()


def test_loop_option_must_match_running_loop():
    async def main():
        with pytest.raises(ConfigError, match=r"^loop: the running event loop is of asyncio"):
            await corn.Server(app, loop="uvloop", **OPTIONS).start()
        async with corn.Server(app, loop="asyncio", **OPTIONS):
            pass

    asyncio.run(main())


def test_log_options_apply_and_are_undone(tmp_path):
    before = (logs.logger.handlers[:], logs.logger.propagate, logs.logger.level)
    with corn.Server(app, port=0, lifespan="off", log_file=tmp_path / "corn.log", log_format="json") as server:
        Client(server.addresses[0]).get("/seen")
        with (
            pytest.raises(ConfigError, match=r"^log_format applies to the whole process"),
            corn.Server(app, log_format="text", **OPTIONS),
        ):
            pass
    text = (tmp_path / "corn.log").read_text()
    assert '"path": "/seen"' in text or "/seen" in text
    assert "in this process" in text
    assert (logs.logger.handlers[:], logs.logger.propagate, logs.logger.level) == before


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"log_file": "none/corn.log"}, "log_file: cannot open '.*none/corn.log': No such file or directory"),
        ({"access_log_file": "none/corn.log"}, "access_log_file: cannot open"),
        ({"ssl_certfile": "none.pem"}, "ssl_certfile: cannot read 'none.pem': No such file or directory"),
        ({"host": "192.0.2.1"}, "cannot listen on .*; check host$"),
    ],
    ids=str,
)
def test_start_failure_names_argument_of_call(options, line):
    handlers = logs.logger.handlers[:]
    with pytest.raises(CornError, match=f"^{line}"), corn.Server(app, **{"port": 0, "lifespan": "off"} | options):
        pass
    assert logs.logger.handlers == handlers


def test_ssl_context_of_another_type_is_refused():
    with pytest.raises(ConfigError, match=r"^ssl_context is an ssl\.SSLContext or a function, not of type int"):
        corn.Server(app, ssl_context=5, **OPTIONS)


def test_log_options_with_configured_logger_are_refused(tmp_path):
    handler = logging.StreamHandler(io.StringIO())
    logs.logger.addHandler(handler)
    try:
        with (
            pytest.raises(ConfigError, match=r"^log_file: the program has configured the logger 'corn' itself"),
            corn.Server(app, log_file=tmp_path / "corn.log", **OPTIONS),
        ):
            pass
        with corn.Server(app, log_level="info", **OPTIONS):
            pass
        assert "in this process" in handler.stream.getvalue()
    finally:
        logs.logger.removeHandler(handler)


def test_fd_of_program_stays_open():
    with socket.create_server(("127.0.0.1", 0)) as listener, contextlib.ExitStack() as stack:
        for _ in range(2):
            with corn.Server(app, fd=listener.fileno(), lifespan="off", access_log=False) as server:
                assert Client(server.addresses[0]).get() == "http"
        stack.callback(listener.getsockname)
