"""Control sockets of other users: root's commands still find root's instance."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import pytest

from tests.support.control_cli import COMMAND
from tests.support.corn_process import DEADLINE, Served, write_app
from tests.support.environment import clean_environment

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root looks at other users' instances")

FOREIGN_UID = 54321
FORGED = (
    b'{"ok": true, "pid": 1, "app": "x", "addresses": ["http://127.0.0.1:%d"], "pidfile": "", "config_file": "",'
    b' "phase": "serving", "uptime": 1.0}\n'
)


@contextlib.contextmanager
def foreign_socket(temporary: Path, name: str, answer: bytes | None):
    """Socket of another user, in that user's control directory; it sends `answer`, or accepts nothing."""
    home = temporary / f"corn-{FOREIGN_UID}"
    home.mkdir(mode=0o700, exist_ok=True)
    os.chown(home, FOREIGN_UID, -1)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(home / name))
        sock.listen(16)
        if answer is not None:
            threading.Thread(target=_answer, args=(sock, answer), daemon=True).start()
        yield


def _answer(sock: socket.socket, answer: bytes) -> None:
    with contextlib.suppress(OSError):
        while True:
            connection, _ = sock.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)


@pytest.fixture
def temporary():
    """A directory for temporary files whose path leaves room for a socket's name (unix(7))."""
    with tempfile.TemporaryDirectory(prefix="t", dir="/tmp", ignore_cleanup_errors=True) as directory:
        yield Path(directory)


def run(temporary: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = clean_environment(TMPDIR=str(temporary))
    environment.pop("CORN_CONTROL", None)
    return subprocess.run(
        [*COMMAND, *arguments], env=environment, capture_output=True, text=True, timeout=DEADLINE, check=False
    )


@pytest.mark.parametrize(
    "answer",
    [None, b'{"ok": false, "error": "no"}\n', b"\xff\x00junk\n", b'{"ok": true}\n', b"forged"],
    ids=["silent", "refuses", "junk", "empty", "forged"],
)
def test_foreign_socket_does_not_affect_command_of_root(tmp_path, temporary, answer):
    write_app(tmp_path, "one")
    with Served(tmp_path, "main:app", "--port", "0", "--soak", "0").wait_ready() as served:
        port = served.address.rpartition(":")[2]
        said = FORGED % int(port) if answer == b"forged" else answer
        with foreign_socket(temporary, f"127.0.0.1:{port}.sock", said):
            done = run(temporary, "status", "--bind", port)
            assert (done.returncode, done.stderr) == (0, "")
            assert f"master {served.pid}," in done.stdout
            listed = run(temporary, "list")
            assert listed.returncode == 0
            assert f"pid {served.pid}: " in listed.stdout
            assert run(temporary, "stop", "--wait", "--bind", port).stdout == "stopped\n"
            assert served.process.wait(DEADLINE) == 0


def test_silent_foreign_sockets_delay_list_within_limit(temporary):
    with contextlib.ExitStack() as stack:
        for number in range(40):
            stack.enter_context(foreign_socket(temporary, f"{number}.sock", None))
        before = time.monotonic()
        run(temporary, "list")
        assert time.monotonic() - before < 20
