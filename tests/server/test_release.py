"""What a connection holds is freed as it ends, and not left to the collector of circles.

The collector of a worker counts objects and not bytes, so what waits for it can be large. Here it is off, and all
objects that it would look at are counted: whatever a conversation leaves behind, of whatever type, is seen.
"""

from __future__ import annotations

import contextlib
import functools
import json
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from tests.support import connection_endings as endings
from tests.support.certificates import Issued, client
from tests.support.connection_endings import HTTP1, HTTP2, PROXIED, WEBSOCKETS, Ending, get, read_to_end
from tests.support.corn_process import Served

APP = """
import gc
import json
from collections import Counter

BIG = bytes(3_000_000)
START = {"type": "http.response.start", "status": 200, "headers": []}


def objects():
    if gc.isenabled():
        gc.disable()  # here, since the worker enables it after the import
        gc.collect()
    counts = Counter()
    for kind, count in Counter(map(type, gc.get_objects())).items():
        counts[f"{kind.__module__}.{kind.__qualname__}"] += count
    return json.dumps(counts).encode()


async def app(scope, receive, send):
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "bytes": message["bytes"]})
        return
    path = scope["path"]
    if path == "/fail":
        raise RuntimeError("as asked")
    if path == "/body":
        while (await receive()).get("more_body"):
            pass
    await send(START)
    if path == "/fail-late":
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
        raise RuntimeError("as asked")
    if path == "/events":
        await send({"type": "http.response.body", "body": b"data: 1\\n\\n", "more_body": True})
        while (await receive())["type"] != "http.disconnect":
            pass
    if path == "/parts":
        for _ in range(300):
            await send({"type": "http.response.body", "body": BIG[:30_000], "more_body": True})
    body = objects() if path == "/objects" else BIG if path == "/big" else b"hello"
    await send({"type": "http.response.body", "body": body})


def wsgi(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/fail":
        raise RuntimeError("as asked")
    if path == "/body":
        while environ["wsgi.input"].read(10_000):
            pass
    start_response("200 OK", [])
    if path == "/parts":
        return (BIG[:30_000] for _ in range(300))
    if path == "/fail-late":
        return (1 // 0 if number else b"x" for number in range(2))
    return [objects() if path == "/objects" else BIG if path == "/big" else b"hello"]
"""
# asyncio's own transports refer to themselves, with their sockets and their fields; here only what else is looked for.
ITS_SOCKET = "corn.server.acceptor.AcceptedSocket"
OF_ASYNCIO = ("corn.", "_asyncio.", "_contextvars.", "ssl.", "_ssl.", "builtins.coroutine", "builtins.frame")
CONVERSATIONS = 20
DEADLINE = 40


@dataclass(frozen=True)
class Service:
    """How corn is started, and what a conversation with it begins with. `raw` ones begin with nothing."""

    options: tuple[str, ...]
    kinds: tuple[Ending, ...]
    raw: tuple[Ending, ...] = ()
    is_tls: bool = False
    begins: bytes = b""


SERVICES = {
    "plain": Service(("main:app", "--h2c-upgrade"), (*HTTP1, *WEBSOCKETS, *HTTP2, endings.upgrade_to_h2)),
    "wsgi": Service(
        ("main:wsgi", "--wsgi-buffer-body", "0", "--wsgi-threads", "1"),
        tuple(each for each in HTTP1 if each is not endings.close_event_stream),
    ),
    "tls": Service(
        ("main:app", "--ssl-certfile", "localhost.pem", "--ssl-keyfile", "localhost.key"),
        (*HTTP1, *HTTP2),
        (endings.send_plain_text, endings.close_during_handshake, endings.send_invalid_handshake),
        is_tls=True,
    ),
    "proxy": Service(
        ("main:app", "--proxy-protocol"),
        (
            endings.request_and_close,
            endings.send_nothing,
            endings.reset_during_parts,
            endings.h2_reset_with_open_streams,
        ),
        (endings.close_during_proxy_header, endings.send_invalid_proxy_header),
        begins=PROXIED,
    ),
}


class Counted:
    """Running service whose objects are counted."""

    def __init__(self, service: Service, served: Served, kinds: tuple[str, ...]) -> None:
        self._kinds = kinds
        self._service = service
        self._tls = client()
        self._address = ("127.0.0.1", int(served.address.rpartition(":")[2]))

    def converse(self, ending: Ending) -> None:
        with self._connect(raw=ending in self._service.raw) as sock:
            ending(sock)

    def objects(self) -> Counter[str]:
        with self._connect(raw=False) as sock:
            sock.sendall(get(b"/objects", b"Connection: close\r\n"))
            found = json.loads(read_to_end(sock).partition(b"\r\n\r\n")[2])
            left_out = ITS_SOCKET if self._kinds is OF_ASYNCIO else ""
            kinds = self._kinds
            return Counter({name: n for name, n in found.items() if name.startswith(kinds) and name != left_out})

    @contextlib.contextmanager
    def _connect(self, *, raw: bool) -> Iterator[socket.socket]:
        with socket.create_connection(self._address, timeout=20) as plain:
            if not raw:
                plain.sendall(self._service.begins)
            if raw or not self._service.is_tls:
                yield plain
            else:
                with self._tls.wrap_socket(plain, server_hostname="localhost", suppress_ragged_eofs=True) as sock:
                    yield sock


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str, str], Counted]]:
    """`start(name, loop)` starts a service once, for all its tests; a parameter of a fixture would last for one."""
    with contextlib.ExitStack() as stack:

        @functools.cache
        def start(name: str, loop: str) -> Counted:
            directory = tmp_path_factory.mktemp(name)
            (directory / "main.py").write_text(APP)
            Issued(directory, "localhost")
            options = (*SERVICES[name].options, "--port", "0", "-w", "1", "--lifespan", "off", "--control", "off")
            served = Served(directory, *options, "--no-access-log", "--loop", loop).wait_ready()
            stack.enter_context(served)
            return Counted(SERVICES[name], served, OF_ASYNCIO if loop == "asyncio" else ("",))

        yield start


@pytest.mark.parametrize(
    ("name", "loop", "ending"),
    [
        pytest.param(name, loop, ending, id=f"{name}-{loop}-{ending.__name__}")
        for name, service in SERVICES.items()
        for loop in ("uvloop", "asyncio")
        for ending in (*service.kinds, *service.raw)
    ],
)
def test_ended_connection_is_freed_without_collector(start, name: str, loop: str, ending: Ending) -> None:
    counted = start(name, loop)
    for _ in range(3):
        counted.converse(ending)  # for what is remembered or made once
    counted.objects()
    before = counted.objects()
    for _ in range(CONVERSATIONS):
        counted.converse(ending)
    end = time.monotonic() + DEADLINE
    while (more := counted.objects() - before).total() >= CONVERSATIONS and time.monotonic() < end:
        time.sleep(0.2)
    assert more.total() < CONVERSATIONS, more.most_common(12)
