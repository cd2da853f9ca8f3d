"""Server of the control socket: it drops misbehaving clients and does not block the others."""

import contextlib
import json
import os
import selectors
import socket
import threading
import time

import pytest

from corn.errors import ConfigError
from corn.ipc.control_paths import make_home, socket_name, sockets
from corn.supervisor.control import server as module
from corn.supervisor.control.server import MAX_CLIENTS, ControlServer
from corn.supervisor.control.socket_file import plan_control_socket
from corn.supervisor.policy.state import State
from corn.supervisor.projections.wait_conditions import Outcome
from tests.support.policy_world import settings_with

DEADLINE = 20.0
LARGE = "x" * 3_000_000


def meet(control):
    return plan_control_socket(str(control), "http://127.0.0.1:1", os.geteuid(), None)()


class TargetIsSeven:
    def check(self, before, after):
        return Outcome(True, "done") if after.target == 7 else None


class RunningServer:
    """Control server whose selector loop runs in a thread."""

    def __init__(self, path):
        self.control_socket = meet(path)
        self.path = str(path)
        self._selector = selectors.DefaultSelector()
        self._stop = threading.Event()
        self._peers = []
        self.iterations = 0
        self.control = ControlServer(self.control_socket, self._selector, self._answer)
        self.control.listen()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _answer(self, request, reply):
        if request.get("do") == "wait":
            reply.wait(TargetIsSeven())
        elif request.get("do") == "large":
            reply.send({"ok": True, "text": LARGE})
        else:
            reply.send({"ok": True, "said": request})

    def _run(self):
        while not self._stop.is_set():
            wake = self.control.next_at()
            timeout = 0.05 if wake is None else max(0.0, min(0.05, wake - time.monotonic()))
            for key, mask in self._selector.select(timeout):
                key.data(mask)
            self.control.tick(time.monotonic())
            self.iterations += 1

    def state_changes(self):
        before, after = State(settings_with(), 1), State(settings_with(), 7)
        self.control.observe(before, after, 0.0)

    def connect(self):
        sock = socket.socket(socket.AF_UNIX)
        self._peers.append(sock)
        sock.connect(self.path)  # one with a time-out does not wait for a place in the queue
        sock.settimeout(DEADLINE)
        return sock

    def ask(self, line, sock=None):
        sock = sock or self.connect()
        sock.sendall(line)
        return json.loads(read_line(sock))

    def close(self):
        self._stop.set()
        self._thread.join(DEADLINE)
        self.control.stop_listening(keep_file=False)
        for client in list(self.control._clients.values()):
            self.control.drop(client)
        self._selector.close()
        for sock in self._peers:
            sock.close()


def read_line(sock):
    got = b""
    while not got.endswith(b"\n"):
        seen = sock.recv(1 << 20, socket.MSG_PEEK)
        if not seen:
            return got
        got += sock.recv(seen.find(b"\n") + 1 or len(seen))
    return got


def is_dropped(sock):
    try:
        while sock.recv(1 << 20):
            pass
    except ConnectionError:
        pass
    return True


def until(condition):
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def running(tmp_path):
    running = RunningServer(tmp_path / "s")
    yield running
    running.close()
    assert not (tmp_path / "s").exists()


def test_pipelined_requests_are_answered_in_order(running):
    sock = running.connect()
    sock.sendall(b'{"do": "a"}\n{"do": "b"}\n{"do"')
    assert json.loads(read_line(sock))["said"] == {"do": "a"}
    assert json.loads(read_line(sock))["said"] == {"do": "b"}
    assert running.ask(b': "c"}\n', sock)["said"] == {"do": "c"}


@pytest.mark.parametrize("line", [b"nonsense\n", b"[1, 2]\n", b"\xff\xfe\n", b"3\n", b"\n", b"[" * 60000 + b"\n"])
def test_malformed_request_gets_error_and_keeps_connection(running, line):
    sock = running.connect()
    assert running.ask(line, sock) == {"ok": False, "error": "expected a JSON object in one line"}
    assert running.ask(b'{"do": "a"}\n', sock)["ok"]


def test_oversized_request_drops_client(running):
    sock = running.connect()
    with contextlib.suppress(ConnectionError):
        sock.sendall(b"x" * 200_000)
    assert is_dropped(sock)
    assert running.ask(b'{"do": "a"}\n')["ok"]


def test_client_that_does_not_read_is_dropped(running, monkeypatch):
    monkeypatch.setattr(module, "IDLE_TIMEOUT", 3.0)
    slow = running.connect()
    slow.sendall(b'{"do": "large"}\n')
    silent = running.connect()
    assert running.ask(b'{"do": "a"}\n')["ok"]
    assert is_dropped(silent)
    until(lambda: not running.control._clients)
    got = b""
    with contextlib.suppress(ConnectionError):
        while data := slow.recv(65536):
            got += data
    assert len(got) < len(LARGE)


def test_large_response_to_slow_client_is_complete(running):
    answer = running.ask(b'{"do": "large"}\n')
    assert answer["text"] == LARGE


def test_idle_client_flood_does_not_block_new_client(running):
    flood = [running.connect() for _ in range(MAX_CLIENTS * 3)]
    for sock in flood[:: MAX_CLIENTS // 4]:
        with contextlib.suppress(OSError):
            sock.sendall(b"half a requ")
    assert running.ask(b'{"do": "a"}\n')["ok"]
    for sock in flood:
        sock.close()


def test_connection_beyond_waiting_client_limit_is_refused(running):
    waiting = [running.connect() for _ in range(MAX_CLIENTS)]
    for sock in waiting:
        sock.sendall(b'{"do": "wait"}\n')
    until(lambda: sum(each.condition is not None for each in list(running.control._clients.values())) == MAX_CLIENTS)
    assert json.loads(read_line(running.connect()))["error"] == "too many clients"
    running.state_changes()
    for sock in waiting:
        assert json.loads(read_line(sock)) == {"ok": True, "text": "done", "detail": ""}
    assert running.ask(b'{"do": "a"}\n')["ok"]


def test_disconnected_waiting_client_is_removed(running):
    sock = running.connect()
    sock.sendall(b'{"do": "wait"}\n')
    sock.close()
    assert running.ask(b'{"do": "a"}\n')["ok"]
    until(lambda: not any(each.condition for each in list(running.control._clients.values())))
    running.state_changes()


def test_idle_server_does_not_spin(running):
    running.connect()
    before, began = running.iterations, time.monotonic()
    time.sleep(0.5)
    iterations, seconds = running.iterations - before, time.monotonic() - began
    assert iterations < 100 * seconds  # the thread above looks 20 times a second by itself


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_other_uid_is_refused_despite_file_mode(running, tmp_path):
    os.chmod(running.path, 0o666)
    reader, writer = os.pipe()
    sock = socket.socket(socket.AF_UNIX)
    descriptor = os.open(tmp_path, os.O_RDONLY)
    pid = os.fork()
    if pid == 0:
        try:
            os.fchmod(descriptor, 0o755)
            os.fchdir(descriptor)
            os.setuid(65534)
            sock.connect("s")
            os.write(writer, read_line(sock))
        finally:
            os._exit(0)
    os.close(writer)
    os.close(descriptor)
    sock.close()
    os.waitpid(pid, 0)
    with os.fdopen(reader) as pipe:
        assert json.loads(pipe.read())["error"] == "permission denied: only root and the user who runs corn"
    assert running.ask(b'{"do": "a"}\n')["ok"]


# Where the socket is


def test_stale_socket_is_removed_and_live_socket_kept(tmp_path):
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(tmp_path / "127.0.0.1:1.sock"))
    dead.close()
    first = meet(tmp_path)
    assert first.path.name == "127.0.0.1:1.sock"
    second = meet(tmp_path)
    assert second.path.name == f"127.0.0.1:1.{os.getpid()}.sock"
    assert sockets({}, str(tmp_path)) == (sorted([first.path, second.path]), [])
    assert first.path.stat().st_mode & 0o777 == 0o600
    first.close()
    second.close()
    assert list(tmp_path.iterdir()) == []


def test_unusable_control_path_is_config_error(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ConfigError, match=r"--control: .*file cannot be made: it exists but is not a socket"):
        meet(tmp_path / "file")
    with pytest.raises(ConfigError, match=r"--control: .*No such file or directory"):
        meet(tmp_path / "no" / "socket")
    with pytest.raises(ConfigError, match=r"--control: .*the path of a socket has at most 103 bytes"):
        meet(tmp_path / ("x" * 120))
    assert meet("off") is None
    assert (tmp_path / "file").read_text() == "mine"


def test_directory_accessible_to_others_is_refused(tmp_path):
    home = tmp_path / "corn-0"
    home.mkdir(mode=0o755)
    os.chmod(home, 0o755)
    with pytest.raises(PermissionError, match="is not a directory that user"):
        make_home(home, os.geteuid())
    link = tmp_path / "link"
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    link.symlink_to(private)
    with pytest.raises(PermissionError):
        make_home(link, os.geteuid())
    make_home(private, os.geteuid())


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("http://127.0.0.1:8000", "127.0.0.1:8000.sock"),
        ("http://[::1]:80", "::1-:80.sock"),
        ("unix:/run/a b/app.sock", "unix:-run-a-b-app.sock.sock"),
        ("unix:/" + "long/" * 50 + "end", ("long-" * 50 + "end")[-60:] + ".sock"),
    ],
)
def test_socket_name_is_derived_from_address(address, name):
    assert socket_name(address) == name
