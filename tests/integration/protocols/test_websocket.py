"""WebSockets of a service whose workers are replaced, killed and stopped."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.support.corn_process import DEADLINE, Served, write_app
from tests.support.websocket_peer import HANDSHAKE

WEBSOCKET = """
async def echo(scope, receive, send):
    if scope["type"] != "websocket":
        return await app(scope, receive, send)
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": f"{VERSION} {os.getpid()} {message['text']}"})
    os.write(1, b"disconnect %d\\n" % message["code"])  # in one piece, beside other workers
"""


@pytest.fixture
def app_dir(tmp_path):
    write_app(tmp_path, "one", more=WEBSOCKET)
    return tmp_path


def service(app_dir, *arguments):
    return Served(app_dir, "main:echo", "--port", "0", *arguments).wait_ready()


def opened(served):
    return connect(served.address.replace("http://", "ws://"), open_timeout=DEADLINE, proxy=None)


@contextlib.contextmanager
def several(served, count):
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(opened(served)) for _ in range(count)]


def say(peer, text):
    peer.send(text)
    return peer.recv(DEADLINE).split()


def end_of(peer):
    """Close code of the connection."""
    with pytest.raises(ConnectionClosed):
        peer.recv(DEADLINE)
    return peer.close_code


@pytest.mark.parametrize(("workers", "loop"), [("1", "asyncio"), ("2", "uvloop")])
def test_reload_closes_websockets_with_1012(app_dir, workers, loop):
    with service(app_dir, "--workers", workers, "--loop", loop, "--soak", "0") as served:
        with several(served, 6) as peers:
            assert {say(peer, "hi")[0] for peer in peers} == {"one"}
            write_app(app_dir, "two", more=WEBSOCKET)
            served.signal(signal.SIGHUP)
            assert [end_of(peer) for peer in peers] == [1012] * 6
        served.wait_until(lambda: served.output.count("disconnect 1012") == 6, "all disconnect messages")
        with opened(served) as peer:
            assert say(peer, "hi")[::2] == ["two", "hi"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_stop_closes_websockets_with_1012_and_disconnects_application(app_dir, number):
    with service(app_dir, "--workers", "2") as served, several(served, 4) as peers:
        served.signal(number)
        assert [end_of(peer) for peer in peers] == [1012] * 4
        assert served.wait_exit() == 0
        assert served.output.count("disconnect 1012") == 4
        assert "was cancelled" not in served.output


def test_unread_websockets_delay_neither_reload_nor_stop(app_dir):
    with service(app_dir, "--soak", "0") as served:
        peers = []
        for _ in range(3):
            sock = served.client().connect()
            sock.sendall(HANDSHAKE)
            assert b" 101 " in sock.recv(16)
            peers.append(sock)
        served.signal(signal.SIGHUP)
        served.wait_for(r"worker 0 .* exited: reload")
        served.signal(signal.SIGTERM)
        assert served.wait_exit() == 0
        for sock in peers:
            sock.close()


def test_killed_worker_loses_only_its_websockets(app_dir):
    with service(app_dir, "--workers", "2", "--no-access-log") as served, several(served, 8) as peers:
        homes = {peer: int(say(peer, "hi")[1]) for peer in peers}
        victim = served.workers()[0]
        victim.kill()
        for peer, home in homes.items():
            if home == victim.pid:
                assert end_of(peer) == 1006
            else:
                assert say(peer, "still")[1:] == [str(home), "still"]
        served.wait_until(lambda: len(served.workers()) == 2, "a new worker")


def test_limit_max_messages_replaces_worker(app_dir):
    arguments = ("--limit-max-messages", "100", "--min-worker-lifetime", "0.5", "--no-access-log")
    with service(app_dir, *arguments) as served:
        with opened(served) as peer:
            answered = []
            with contextlib.suppress(ConnectionClosed):
                while len(answered) < 100_000:
                    answered.append(say(peer, "hi")[1])
            first = answered[0]
            assert set(answered) == {first}
            assert 100 <= len(answered) < 100_000
            assert end_of(peer) == 1012
        served.wait_for("exited: max messages")
        with opened(served) as peer:
            assert say(peer, "hi")[1] != first


def test_websocket_messages_in_both_directions_keep_order(app_dir):
    with service(app_dir, "--ws-max-queue", "2", "--no-access-log") as served, opened(served) as peer:
        count = 3000
        sender = threading.Thread(target=lambda: [peer.send(f"{number} {'x' * 1000}") for number in range(count)])
        sender.start()
        received = [int(peer.recv(DEADLINE).split()[2]) for _ in range(count)]
        sender.join(DEADLINE)
        assert received == list(range(count))


IGNORES_MESSAGES = """
async def ignores(scope, receive, send):
    if scope["type"] != "websocket":
        return await app(scope, receive, send)
    await send({"type": "websocket.accept"})
    import asyncio
    await asyncio.Event().wait()
"""


def test_dev_reload_does_not_wait_for_websockets(app_dir):
    write_app(app_dir, "one", more=WEBSOCKET + IGNORES_MESSAGES)
    dev = [sys.executable, "-m", "corn", "dev"]
    with (
        Served(app_dir, "main:ignores", "--port", "0", program=dev).wait_ready() as served,
        several(served, 3) as peers,
        served.client().connect() as silent,
    ):
        silent.sendall(HANDSHAKE)
        assert b" 101 " in silent.recv(16)
        write_app(app_dir, "two", more=WEBSOCKET + IGNORES_MESSAGES)
        assert [end_of(peer) for peer in peers] == [1012] * 3
        served.wait_for(r"reloaded in")
        assert served.client().get().startswith("two ")
