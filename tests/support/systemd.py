"""Service manager for tests: receives datagrams at a NOTIFY_SOCKET, stores descriptors, and passes them to corn."""

from __future__ import annotations

import array
import os
import socket
import sys
import threading
import time
from pathlib import Path

from tests.support.corn_process import DEADLINE, Served

# What systemd does between fork and exec: descriptors from 3 on, and the id of the process that they are for.
_LAUNCH = """
import fcntl, os, sys
kept = [fcntl.fcntl(int(each), fcntl.F_DUPFD, 100) for each in sys.argv[1].split(",") if each]
for number, fd in enumerate(kept, start=3):
    os.dup2(fd, number)
    os.close(fd)
os.environ["LISTEN_PID"] = os.environ["WATCHDOG_PID"] = str(os.getpid())
os.execv(sys.argv[2], sys.argv[2:])
"""


class Manager:
    """`notices` are pairs of the sender's pid and the text; `store` holds the stored descriptors by name."""

    def __init__(self, directory: Path, *, abstract: bool = False) -> None:
        name = str(directory / "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.socket.bind("\0" + name if abstract else name)
        self.address = "@" + name if abstract else name
        self.notices: list[tuple[int, str]] = []
        self.store: dict[str, list[socket.socket]] = {}
        self._news = threading.Condition()
        self._ends = False
        self._thread = threading.Thread(target=self._receive, daemon=True)
        self._thread.start()

    def _receive(self) -> None:
        self.socket.settimeout(0.2)
        while not self._ends:
            try:
                data, ancillary, _, _ = self.socket.recvmsg(65536, 1024)
            except TimeoutError:
                continue
            sender, fds = 0, array.array("i")
            for level, kind, payload in ancillary:
                if level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS:
                    sender = array.array("i", payload[:12])[0]
                elif level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                    fds.frombytes(payload[: len(payload) - len(payload) % fds.itemsize])
            with self._news:
                self._take(sender, data.decode(), list(fds))
                self._news.notify_all()

    def _take(self, sender: int, text: str, fds: list[int]) -> None:
        fields = dict(line.split("=", 1) for line in text.split("\n"))
        if "FDSTORE" in fields:
            self.store.setdefault(fields["FDNAME"], []).extend(socket.socket(fileno=fd) for fd in fds)
        if "FDSTOREREMOVE" in fields:
            for sock in self.store.pop(fields["FDNAME"], []):
                sock.close()
        self.notices.append((sender, text))

    def wait_for(self, what: str, *, since: int = 0, sender: int | None = None) -> str:
        """First notice from number `since` on that starts with `what`, optionally of one sender."""
        end = time.monotonic() + DEADLINE
        with self._news:
            while True:
                for pid, text in self.notices[since:]:
                    if text.startswith(what) and sender in (None, pid):
                        return text
                assert time.monotonic() < end, f"no notice like {what!r} among the last: {self.notices[-20:]}"
                self._news.wait(0.1)

    def all(self, what: str) -> list[str]:
        """All notices so far with this beginning."""
        return [text for _, text in self.notices if text.startswith(what)]

    def start(self, directory: Path, *arguments: str, passed=(), **environment: str) -> Served:
        """Start `corn serve`; `passed` are pairs of a name and a socket."""
        sockets = [*passed, *((name, sock) for name, kept in self.store.items() for sock in kept)]
        names = ":".join(name for name, _ in sockets)
        more = {"LISTEN_FDS": str(len(sockets)), "LISTEN_FDNAMES": names} if sockets else {}
        fds = [sock.fileno() for _, sock in sockets]
        for fd in fds:
            os.set_inheritable(fd, True)
        command = [sys.executable, "-c", _LAUNCH, ",".join(map(str, fds)), sys.executable, "-m", "corn", "serve"]
        try:
            return Served(directory, *arguments, program=command, NOTIFY_SOCKET=self.address, **more, **environment)
        finally:
            for fd in fds:
                os.set_inheritable(fd, False)

    def __enter__(self) -> Manager:
        return self

    def __exit__(self, *_: object) -> None:
        self._ends = True
        self._thread.join(DEADLINE)
        for kept in self.store.values():
            for sock in kept:
                sock.close()
        self.socket.close()
