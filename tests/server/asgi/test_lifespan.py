"""ASGI lifespan: start-up, state, failures and shutdown."""

import asyncio
import logging
import traceback

import pytest

from corn.errors import ApplicationError
from tests.support.asgi_server import hello, serving

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def with_lifespan(lifespan):
    async def app(scope, receive, send):
        await (lifespan if scope["type"] == "lifespan" else hello)(scope, receive, send)

    return app


async def start(app, mode):
    async with serving(app, lifespan=mode) as at:
        return (await at.request(GET)).status


def test_lifespan_state_is_copied_to_each_request(run):
    seen = []

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            assert (await receive())["type"] == "lifespan.startup"
            scope["state"]["pool"] = [1]
            await send({"type": "lifespan.startup.complete"})
            assert (await receive())["type"] == "lifespan.shutdown"
            seen.append("shutdown")
            await send({"type": "lifespan.shutdown.complete"})
        else:
            seen.append(dict(scope["state"]))
            scope["state"]["mine"] = 1
            scope["state"]["pool"].append(2)
            await hello(scope, receive, send)

    async def main():
        async with serving(app, lifespan="auto") as at:
            await at.request(GET)
            await at.request(GET)

    run(main())
    assert seen == [{"pool": [1, 2, 2]}, {"pool": [1, 2, 2]}, "shutdown"]


def test_lifespan_auto_serves_application_without_lifespan(run):
    async def refusing(scope, receive, send):
        raise AssertionError("http only")

    async def returning(scope, receive, send):
        return

    for lifespan in (refusing, returning):
        assert run(start(with_lifespan(lifespan), "auto")) == 200
        with pytest.raises(ApplicationError):
            run(start(with_lifespan(lifespan), "on"))
        assert run(start(with_lifespan(lifespan), "off")) == 200


def test_lifespan_startup_failure_has_user_traceback(run):
    async def failing(scope, receive, send):
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "Traceback ...\nValueError: no database"})

    async def raising(scope, receive, send):
        await receive()
        raise ValueError("no database")

    async def leaving(scope, receive, send):
        await receive()
        raise SystemExit(3)

    for lifespan, words in ((failing, "no database"), (raising, "no database"), (leaving, "SystemExit")):
        with pytest.raises(ApplicationError, match=words) as failed:
            run(start(with_lifespan(lifespan), "auto"))
        assert words in failed.value.detail
        assert "corn/server" not in failed.value.detail


def test_lifespan_shutdown_timeout_is_logged(run, caplog):
    async def lifespan(scope, receive, send):
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await asyncio.Event().wait()

    async def main():
        async with serving(with_lifespan(lifespan), lifespan="on", timeout_lifespan_shutdown=0.1) as at:
            assert (await at.request(GET)).status == 200

    with caplog.at_level(logging.ERROR, "corn"):
        run(main())
    assert "did not shut down within 0.1 seconds" in caplog.text


def test_lifespan_that_fails_after_startup_is_logged(run, caplog):
    async def lifespan(scope, receive, send):
        await receive()
        await send({"type": "lifespan.startup.complete"})
        raise RuntimeError("late")

    assert run(start(with_lifespan(lifespan), "on")) == 200
    assert "RuntimeError: late" in caplog.text


def test_lifespan_message_out_of_order_is_refused(run):
    async def lifespan(scope, receive, send):
        await receive()
        await send({"type": "lifespan.started"})

    with pytest.raises(ApplicationError, match=r"'lifespan\.started'"):
        run(start(with_lifespan(lifespan), "on"))


def test_lifespan_failure_with_long_message_is_summarized_by_exception(run):
    async def lifespan(scope, receive, send):
        await receive()
        try:
            raise ValueError("no database\n[SQL: insert]\n(Background at: https://db.example)")
        except ValueError:
            await send({"type": "lifespan.startup.failed", "message": traceback.format_exc()})

    with pytest.raises(ApplicationError, match=r"failed to start: ValueError: no database$") as caught:
        run(start(with_lifespan(lifespan), "on"))
    assert "[SQL: insert]" in caught.value.detail


def test_lifespan_exception_after_startup_failed_is_cause(run, caplog):
    """Starlette sends `lifespan.startup.failed` with the traceback as text, then raises."""

    async def telling(scope, receive, send):
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "Traceback ...\nValueError: no database"})
        raise ValueError("no database")

    logging.getLogger("corn").addHandler(caplog.handler)
    try:
        with pytest.raises(ApplicationError) as failed:
            run(start(with_lifespan(telling), "auto"))
    finally:
        logging.getLogger("corn").removeHandler(caplog.handler)
    assert isinstance(failed.value.__cause__, ValueError)
    assert caplog.records == []
