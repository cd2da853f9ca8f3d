"""ASGI extensions: each works where the scope lists it."""

import asyncio
import contextlib
import copy
import os

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.support import http2_peer
from tests.support.asgi_server import listen_unix, serving, until

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
TAKES_TRAILERS = b"GET / HTTP/1.1\r\nHost: x\r\nTE: trailers\r\nConnection: TE\r\n\r\n"
START = {"type": "http.response.start", "status": 200}
SIZE = 5_000_000


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(os.urandom(SIZE))
    return path


@pytest.mark.parametrize("pathsend", [False, True])
def test_scope_lists_available_extensions(run, pathsend):
    seen = []

    async def app(scope, receive, send):
        seen.append({each.removeprefix("http.response.") for each in scope["extensions"]})
        await send(START)
        await send({"type": "http.response.body"})

    async def main():
        async with serving(app, pathsend=pathsend) as at:
            for request in (b"GET / HTTP/1.0\r\n\r\n", GET, TAKES_TRAILERS):
                await at.request(request)

    run(main())
    files = {"corn.drain", "zerocopysend"} | ({"pathsend"} if pathsend else set())
    assert seen == [files, files | {"early_hint"}, files | {"early_hint", "trailers"}]


def test_drain_event_is_same_object_in_each_scope_and_copy(run):
    seen = []

    async def app(scope, receive, send):
        seen.append((scope["type"], scope["extensions"]["corn.drain"]["event"]))
        seen.append(("copy", copy.deepcopy(scope)["extensions"]["corn.drain"]["event"]))
        if scope["type"] == "lifespan":
            while True:
                await send({"type": (await receive())["type"] + ".complete"})
        if scope["type"] == "websocket":
            await send({"type": "websocket.close"})
            return
        waiting = asyncio.ensure_future(seen[0][1].wait())
        await asyncio.sleep(0)
        waiting.cancel()
        await send(START)
        await send({"type": "http.response.body"})

    async def main():
        async with serving(app, lifespan="on", http="auto") as at:
            await at.request(b"GET / HTTP/1.0\r\n\r\n")
            await at.request(GET)
            await at.server.check_health("/")
            with contextlib.suppress(InvalidStatus):
                await connect(f"ws://127.0.0.1:{at.address[1]}/")
            peer = await http2_peer.connect(at)
            assert (await peer.request()).status == 200
            assert not seen[0][1].is_set()
        assert seen[0][1].is_set()

    run(main())
    assert [kind for kind, _ in seen[::2]] == ["lifespan", "http", "http", "http", "websocket", "http"]
    assert len({id(event) for _, event in seen}) == 1


def test_drain_event_is_in_wsgi_environ(run):
    seen = []

    def app(environ, start_response):
        seen.append(environ["corn.drain"].is_set())
        start_response("200 OK", [])
        return []

    async def main():
        async with serving(app, interface="wsgi") as at:
            await at.request(GET)

    run(main())
    assert seen == [False]


@pytest.mark.parametrize("message", ["pathsend", "zerocopysend"])
def test_grown_file_is_sent_up_to_content_length(run, file, message):
    async def app(scope, receive, send):
        await send({**START, "headers": [(b"content-length", b"%d" % SIZE)]})
        with file.open("r+b") as opened:
            opened.seek(0, os.SEEK_END)
            opened.write(b"more")
            opened.flush()
            opened.seek(0)
            await send({"type": f"http.response.{message}", "path": str(file), "file": opened})

    async def main():
        async with serving(app) as at:
            answer = await at.request(GET)
            assert answer.status == 200
            assert answer.body == file.read_bytes()[:SIZE]

    run(main())


@pytest.mark.parametrize("unix", [False, True])
@pytest.mark.parametrize("announced", [False, True])
def test_pathsend_sends_file(run, file, tmp_path, unix, announced):
    async def app(scope, receive, send):
        headers = [(b"content-length", b"%d" % SIZE)] if announced else []
        await send({**START, "headers": headers})
        await send({"type": "http.response.pathsend", "path": str(file)})

    async def main():
        listener = listen_unix(str(tmp_path / "socket")) if unix else None
        async with serving(app, listener=listener) as at:
            peer = await at.connect(GET + GET)
            for _ in range(2):
                answer = await peer.answer()
                assert answer.body == file.read_bytes()
                assert answer.headers["content-length"] == str(SIZE)
            await peer.send(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await peer.answer(head_only=True)).status == 200

    run(main())


def test_pathsend_of_missing_file_gets_500(run, tmp_path, caplog):
    async def app(scope, receive, send):
        await send(START)
        await send({"type": "http.response.pathsend", "path": str(tmp_path / "none")})

    async def main():
        async with serving(app) as at:
            assert (await at.request(GET)).status == 500

    run(main())
    assert "FileNotFoundError" in caplog.text


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_zerocopysend_and_body_are_sent_in_order(run, file, version):
    content = file.read_bytes()

    async def app(scope, receive, send):
        await send(START)
        with file.open("rb") as opened:
            opened.seek(10)
            part = {"type": "http.response.zerocopysend", "file": opened, "more_body": True}
            await send({**part, "count": 100})
            await send({"type": "http.response.body", "body": b"between", "more_body": True})
            await send({**part, "count": 100})
            await send({**part, "file": opened.fileno(), "offset": 4_000_000})
            await send({**part, "count": 0, "more_body": False})

    async def main():
        async with serving(app) as at:
            answer = await at.request(b"GET / HTTP/" + version + b"\r\nHost: x\r\n\r\n")
            assert answer.body == content[10:110] + b"between" + content[110:210] + content[4_000_000:]

    run(main())


def test_client_disconnect_during_file_raises_oserror(run, file):
    seen = []

    async def app(scope, receive, send):
        await send(START)
        try:
            for _ in range(100):
                await send(
                    {"type": "http.response.zerocopysend", "file": os.open(file, 0), "offset": 0, "more_body": True}
                )
        except OSError as error:
            seen.append(error)

    async def main():
        async with serving(app) as at:
            peer = await at.connect(GET)
            await peer.reader.readexactly(1000)
            peer.writer.transport.abort()
            await until(lambda: seen)

    run(main())


def test_send_timeout_during_file_raises_oserror(run, file):
    seen = []

    async def app(scope, receive, send):
        await send(START)
        try:
            while True:
                with file.open("rb") as opened:
                    await send({"type": "http.response.zerocopysend", "file": opened, "more_body": True})
        except OSError as error:
            seen.append(error)

    async def main():
        async with serving(app, timeout_send=0.5) as at:
            await at.connect(GET)
            await until(lambda: seen)

    run(main())


def test_trailers_follow_body(run):
    async def app(scope, receive, send):
        await send({**START, "trailers": True})
        await send({"type": "http.response.body", "body": b"abc"})
        await send({"type": "http.response.trailers", "headers": [(b"x-sum", b"1")], "more_trailers": True})
        await send({"type": "http.response.trailers", "headers": [(b"x-more", b"2")]})

    async def main():
        async with serving(app) as at:
            peer = await at.connect(TAKES_TRAILERS)
            data = await peer.reader.readuntil(b"x-more: 2\r\n\r\n")
            assert data.endswith(b"\r\n\r\n3\r\nabc\r\n0\r\nx-sum: 1\r\nx-more: 2\r\n\r\n")
            assert (await peer.request(GET)).body == b"abc"

    run(main())


def test_early_hints_precede_response(run):
    async def app(scope, receive, send):
        await send({"type": "http.response.early_hint", "links": [b"</a.css>; rel=preload", b"</b.js>; rel=preload"]})
        await send(START)
        await send({"type": "http.response.body", "body": b"abc"})

    async def main():
        async with serving(app) as at:
            peer = await at.connect(GET)
            hint = await peer.answer()
            assert hint.lines == [
                b"HTTP/1.1 103 Early Hints",
                b"link: </a.css>; rel=preload",
                b"link: </b.js>; rel=preload",
            ]
            assert (await peer.answer()).body == b"abc"

    run(main())


def test_file_shorter_than_content_length_truncates_response(run, file):
    async def app(scope, receive, send):
        await send({**START, "headers": [(b"content-length", b"%d" % (SIZE * 2))]})
        with file.open("rb") as opened:
            await send({"type": "http.response.zerocopysend", "file": opened, "more_body": True})

    async def main():
        async with serving(app) as at:
            with pytest.raises(asyncio.IncompleteReadError):
                await at.request(GET)

    run(main())
