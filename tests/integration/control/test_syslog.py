"""Syslog as the log of real instances: what a receiver gets, and that its absence costs nothing."""

import contextlib
import re
import signal
import socket
import threading

import pytest

from tests.support.corn_process import DEADLINE, Served

APP = """
async def app(scope, receive, send):
    if scope["path"] == "/boom":
        raise ValueError("no good")
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})
"""


@pytest.fixture
def app_dir(tmp_path):
    (tmp_path / "main.py").write_text(APP)
    return tmp_path


class Received:
    """Messages that a receiver has got, collected in a thread for each socket; leaving the context ends the threads."""

    def __init__(self, sock):
        self.messages = []
        self._sock = sock
        receive = self._datagrams if sock.type == socket.SOCK_DGRAM else self._accept
        self._thread = threading.Thread(target=receive)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(
            OSError
        ):  # a socket for datagrams is not connected, but its reader is woken all the same
            self._sock.shutdown(socket.SHUT_RDWR)
        self._thread.join(DEADLINE)
        assert not self._thread.is_alive()

    def has(self, served, pattern):
        """The first message that matches, waited for."""
        served.wait_until(lambda: any(re.search(pattern, each) for each in self.messages), pattern)
        return next(each for each in self.messages if re.search(pattern, each))

    def _datagrams(self):
        with self._sock:
            while data := self._sock.recv(65536):
                self.messages.append(data.decode())

    def _accept(self):
        with self._sock, contextlib.suppress(OSError):  # shutdown(2) interrupts accept(2)
            while True:
                peer, _ = self._sock.accept()
                threading.Thread(target=self._lines, args=(peer,), daemon=True).start()

    def _lines(self, peer):
        with peer, peer.makefile() as lines:
            self.messages += (line.rstrip("\n") for line in lines)


@pytest.fixture(params=["local", "udp", "tcp"])
def receiver(request, tmp_path):
    """A receiver, and the address that corn is given."""
    if request.param == "local":
        sock = datagram_socket(tmp_path / "log")
        address = f"syslog://{tmp_path}/log"
    elif request.param == "udp":
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(("127.0.0.1", 0))
        address = f"syslog://127.0.0.1:{sock.getsockname()[1]}"
    else:
        sock = socket.create_server(("127.0.0.1", 0))
        address = f"syslog+tcp://localhost:{sock.getsockname()[1]}"
    with Received(sock) as received:
        yield received, address


def datagram_socket(path):
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sock.bind(str(path))
    return sock


def test_log_and_access_log_of_all_processes_arrive(app_dir, receiver):
    received, address = receiver
    options = ("--port", "0", "--log-file", f"{address}?facility=local0&tag=shop")
    with Served(app_dir, "main:app", *options) as served:
        started = received.has(served, "serves main:app")
        assert re.match(rf"<134>shop\[{served.pid}\]: master corn [\d.]+ serves main:app at ", started)
        served.address = re.search(r"serves .+? at (\S+?),? \(", started)[1]
        served.client().get("/")
        served.client().request("/boom")
        (worker,) = served.workers()
        head = rf"shop\[{worker.pid}\]: "
        assert re.match(rf'<134>{head}127.0.0.1:\d+ "GET / HTTP/1.1" 200 2 ', received.has(served, "GET / "))
        assert re.match(f"<131>{head}127.0.0.1", received.has(served, '"GET /boom HTTP/1.1" 500'))
        failure = received.has(served, "failed with ValueError")
        assert re.match(
            f"<131>{head}worker 0 g1 GET /boom failed with ValueError: no good#012.*raise ValueError", failure
        )
        served.signal(signal.SIGTERM)
        assert served.wait_exit() == 0
        received.has(served, rf"<134>shop\[{served.pid}\]: master worker 0 .* exited: stop")
        assert served.output == ""


def test_access_log_alone_goes_to_syslog_in_its_format(app_dir, receiver):
    received, address = receiver
    options = ("--port", "0", "--access-log-file", address, "--access-log-format", "%(p)s %(m)s %(s)s")
    with Served(app_dir, "main:app", *options).wait_ready() as served:
        served.client().get("/")
        (worker,) = served.workers()
        served.wait_until(lambda: received.messages, "a message")
        assert received.messages == [f"<14>corn[{worker.pid}]: <{worker.pid}> GET 200"]


def test_receiver_that_goes_away_ends_and_delays_nothing(app_dir):
    path = app_dir / "log"
    sock = datagram_socket(path)
    options = ("--port", "0", "--log-file", f"syslog://{path}", "--workers", "2")
    with Served(app_dir, "main:app", *options) as served:
        with Received(sock) as first:
            served.address = re.search(r"serves .+? at (\S+?),? \(", first.has(served, "serves main:app"))[1]
            before = {each.pid for each in served.workers()}
            path.unlink()
        for _ in range(50):
            assert served.client().get("/") == "ok"
        assert {each.pid for each in served.workers()} == before
        with Received(datagram_socket(path)) as again:
            served.client().get("/again")
            again.has(served, '"GET /again HTTP/1.1" 200')
            served.signal(signal.SIGTERM)
            assert served.wait_exit() == 0


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("syslog://{}/absent", "/absent .No such file or directory."),
        ("syslog+tcp://127.0.0.1:9", "9 .Connection refused."),
    ],
)
def test_start_without_receiver_is_warned_of(app_dir, address, why):
    with Served(app_dir, "main:app", "--port", "0", "--log-file", address.format(app_dir)) as served:
        served.wait_for(f"^corn: --log-file: nothing is received at .*{why}; lines are dropped until that changes$")
        served.wait_until(served.workers, "a worker")
        served.signal(signal.SIGTERM)
        assert served.wait_exit() == 0
        assert len(served.output.splitlines()) == 1


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--log-file", "syslog://host:99999", "is wrong; expected a port"),
        ("--log-file", "syslog:/dev/log", "is wrong; expected syslog://"),
        ("--log-file", "syslog://host.invalid", "the host 'host.invalid' is not known"),
        ("--access-log-file", "syslog+udp://host", "is wrong; expected syslog://"),
        ("--access-log-file", "syslog+tcp://host.invalid:1", "the host 'host.invalid' is not known"),
        ("--access-log-file", "syslog://?facility=local9", "is wrong; expected a facility of kern, "),
    ],
)
def test_bad_address_is_one_line_and_exit_2(app_dir, option, value, said):
    with Served(app_dir, "main:app", "--port", "0", option, value) as served:
        assert served.wait_exit() == 2
        assert served.output.startswith(f"corn: {option}: ")
        assert said in served.output
        assert len(served.output.splitlines()) == 1
