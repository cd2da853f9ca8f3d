"""WebSockets over HTTP/2 (RFC 8441): the same sessions as over HTTP/1.1, on a stream."""

import json

from h2.errors import ErrorCodes
from websockets.frames import Close, Frame, Opcode

from tests.support.asgi_server import hello, serving, until
from tests.support.http2_peer import GET, connect
from tests.support.websocket_peer import echo, recording

CONNECT = (":method", "CONNECT"), (":protocol", "websocket"), *GET[1:], ("sec-websocket-version", "13")


def masked(opcode, payload):
    return Frame(opcode, payload).serialize(mask=True, extensions=[])


def text(words):
    return masked(Opcode.TEXT, words.encode())


async def opened(client, headers=CONNECT):
    stream = await client.begin(headers, end=False)
    await client.until(lambda: client.responses[stream].status)
    return stream, client.responses[stream]


def test_enable_connect_setting_follows_ws_option(run):
    async def main():
        async with serving(hello) as at:
            assert (await connect(at)).settings[8] == 1
        async with serving(hello, ws="none") as at:
            client = await connect(at)
            assert client.settings[8] == 0
            assert (await client.request(CONNECT)).status == 501

    run(main())


def test_websocket_messages_pass_beside_other_requests(run):
    async def app(scope, receive, send):
        await (echo if scope["type"] == "websocket" else hello)(scope, receive, send)

    async def main():
        async with serving(app) as at:
            client = await connect(at)
            stream, response = await opened(client)
            assert (response.status, response.header("sec-websocket-accept")) == (200, None)
            long = "x" * 200_000
            for words in ("hello", long, "again"):
                expected = len(response.body) + len(
                    Frame(Opcode.TEXT, words.encode()).serialize(mask=False, extensions=[])
                )
                await client.data(stream, text(words))
                assert (await client.request()).body == b"hello"
                await client.until(lambda: len(response.body) == expected)  # noqa: B023
                assert response.body.endswith(words.encode())

    run(main())


def test_websocket_scope_matches_request(run):
    seen = []

    async def app(scope, receive, send):
        seen.append(scope)
        await echo(scope, receive, send)

    async def main():
        async with serving(app) as at:
            await opened(await connect(at), (*CONNECT, ("sec-websocket-protocol", "a, b")))

    run(main())
    scope = seen[0]
    assert (scope["type"], scope["http_version"], scope["scheme"]) == ("websocket", "2", "ws")
    assert scope["subprotocols"] == ["a", "b"]


def test_websocket_close_by_peer_or_application_ends_stream(run):
    async def closes(message, send):
        await send({"type": "websocket.close", "code": 4000, "reason": "enough"})

    async def main():
        app, seen = recording()
        async with serving(app) as at:
            client = await connect(at)
            stream, response = await opened(client)
            await client.data(stream, masked(Opcode.CLOSE, Close(4001, "bye").serialize()))
            assert (await client.response(stream)).ended
            await until(lambda: seen)
            assert seen == [{"type": "websocket.disconnect", "code": 4001, "reason": "bye"}]
        app, seen = recording(closes)
        async with serving(app) as at:
            client = await connect(at)
            stream, response = await opened(client)
            await client.data(stream, text("hello"))
            await client.until(lambda: b"enough" in response.body)
            await client.data(stream, masked(Opcode.CLOSE, Close(4000, "enough").serialize()))
            assert (await client.response(stream)).ended

    run(main())


def test_websocket_reset_or_end_of_stream_disconnects_with_1006(run):
    async def main():
        app, seen = recording()
        async with serving(app) as at:
            client = await connect(at)
            stream, _ = await opened(client)
            client.h2.reset_stream(stream, ErrorCodes.CANCEL)
            await client.flush()
            await until(lambda: len(seen) == 1)
            stream, _ = await opened(client)
            await client.data(stream, b"", end=True)
            await until(lambda: len(seen) == 2)
            assert [each["code"] for each in seen] == [1006, 1006]
            assert not at.server._service.websockets
            await until(lambda: not at.server._service.running)

    run(main())


def test_websocket_denial_sends_status(run):
    async def app(scope, receive, send):
        await receive()
        if scope["path"] == "/":
            await send({"type": "websocket.close"})
            return
        await send({"type": "websocket.http.response.start", "status": 401, "headers": []})
        await send({"type": "websocket.http.response.body", "body": b"who?"})

    async def main():
        async with serving(app) as at:
            client = await connect(at)
            stream = await client.begin(CONNECT, end=False)
            assert (await client.response(stream)).status == 403
            stream = await client.begin((*CONNECT[:3], (":path", "/other"), *CONNECT[4:]), end=False)
            response = await client.response(stream)
            assert (response.status, response.body) == (401, b"who?")

    run(main())


def test_slow_websocket_application_pauses_client(run):
    async def main():
        done, seen = [], []

        async def slow(scope, receive, send):
            await receive()
            await send({"type": "websocket.accept"})
            await until(lambda: done)
            while (message := await receive())["type"] == "websocket.receive":
                seen.append(message)

        async with serving(slow, ws_max_queue=4, http2_initial_stream_window_size=65536) as at:
            client = await connect(at)
            stream, _ = await opened(client)
            for _ in range(4):
                await client.data(stream, text("x" * 10_000))
            await until(lambda: next(iter(at.server._service.websockets)).messages)
            for _ in range(2):
                await client.data(stream, text("y" * 10_000))
            assert client.h2.local_flow_control_window(stream) < 10_000
            done.append(1)
            for _ in range(20):
                await client.data(stream, text("z" * 10_000))
            await until(lambda: len(seen) == 26)

    run(main())


def test_drain_closes_websocket_with_1012(run):
    async def main():
        app, seen = recording()
        async with serving(app) as at:
            client = await connect(at)
            stream, response = await opened(client)
            at.server.drain(grace=5, final=True)
            await client.until(lambda: response.body)
            assert response.body[:4] == b"\x88\x11\x03\xf4"
            await client.data(stream, masked(Opcode.CLOSE, response.body[2:4]))
            await at.server.wait_closed()
            assert seen[-1]["code"] == 1012

    run(main())


def test_websocket_resumes_after_late_read_of_pongs(run):
    async def main():
        async with serving(echo) as at:
            client = await connect(at, takes=False)
            stream, response = await opened(client)
            ping = masked(Opcode.PING, b"p" * 125)
            count = client.h2.local_flow_control_window(stream) // len(ping)
            answers = 127 * count
            assert answers > 65535, "more than the window for them"
            await client.data(stream, ping * count)
            (session,) = at.server._service.websockets
            await until(lambda: session.is_full)
            while len(response.body) < 65535:
                await client.read_events()
            client.takes = True
            client.h2.acknowledge_received_data(65535, stream)
            await client.data(stream, text("after " * 50))
            await client.until(lambda: len(response.body) == answers + 304)
            assert response.body.endswith(b"after ")

    run(main())


def test_websocket_access_log_has_status_200(run, tmp_path):
    """RFC 8441, 5: 200, where HTTP/1.1 has 101."""
    log = tmp_path / "log"

    async def main():
        async with serving(echo, access_log=True, access_log_file=str(log), log_format="json") as at:
            client = await connect(at)
            stream, response = await opened(client)
            await client.data(stream, masked(Opcode.CLOSE, Close(1000, "").serialize()), end=True)
            await client.until(lambda: response.ended)
            await until(lambda: log.read_text().count("\n") == 1)

    run(main())
    line = json.loads(log.read_text())
    assert (line["status"], line["note"]) == (200, "websocket closed 1000")
