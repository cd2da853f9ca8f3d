"""`corn.testing.serve` in a thread and in a running event loop."""

from __future__ import annotations

import asyncio
import sys
import threading

import pytest

from corn import logs
from corn.embedding.process_log import _configs
from corn.errors import ApplicationError
from corn.testing import serve
from tests.support.http_client import Client


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        raise RuntimeError("no lifespan")
    if scope["path"] == "/broken":
        raise ZeroDivisionError("no answer")
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": scope["root_path"].encode()})


@pytest.fixture(autouse=True)
def nothing_is_left():
    before, threads = (logs.logger.handlers[:], logs.logger.level), threading.enumerate()
    yield
    assert (logs.logger.handlers[:], logs.logger.level) == before
    assert not [each for each in threading.enumerate() if each not in threads]
    assert _configs == []


def log_of(error, capsys):
    return "\n".join(error.__notes__) if sys.version_info >= (3, 11) else capsys.readouterr().err


def test_with_block_serves_in_thread_on_free_port():
    with serve(app, root_path="/api") as server:
        assert server.url.startswith("http://127.0.0.1:")
        assert server.addresses == [server.url]
        assert Client(server.url).get("/seen") == "/api"
    assert "GET /seen" in server.log
    assert "serves an application at http://127.0.0.1:" in server.log


def test_async_with_block_serves_in_running_event_loop():
    async def main():
        async with serve(app) as server:
            assert await asyncio.to_thread(Client(server.url).get) == ""

    asyncio.run(main())


def test_overlapping_servers_have_separate_access_logs():
    first, second = serve(app), serve(app)
    first.__enter__()
    second.__enter__()
    Client(first.url).get("/one")
    Client(second.url).get("/two")
    first.__exit__(None, None, None)
    Client(second.url).get("/three")
    second.__exit__(None, None, None)
    assert ("GET /one" in first.log, "GET /two" in first.log) == (True, False)
    assert ("GET /two" in second.log, "GET /three" in second.log) == (True, True)


def test_error_in_block_carries_log(capsys):
    with pytest.raises(AssertionError) as caught, serve(app) as server:
        Client(server.url).request("/broken")
        raise AssertionError
    log = log_of(caught.value, capsys)
    assert "log of the corn server" in log
    assert "ZeroDivisionError: no answer" in log
    assert "GET /broken" in log


def test_application_start_failure_raises(capsys):
    async def broken(scope, receive, send):
        await receive()
        raise RuntimeError("no database")

    with pytest.raises(ApplicationError, match="no database"), serve(broken):
        pass


def test_log_is_captured_by_caplog(caplog):
    with serve(app):
        pass
    assert "in this process" in caplog.text
