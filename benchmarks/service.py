"""Server under test: starts it, measures it through /proc, and stops it with all its processes."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from benchmarks.cases import Case
from benchmarks.haproxy import free_port, haproxy
from benchmarks.response_check import WrongAnswerError, await_answer
from benchmarks.servers import CERTFILE, KEYFILE, Server

_ROOT = Path(__file__).resolve().parent.parent
_BIN = Path(sys.executable).parent
_PSS = re.compile(r"^Pss:\s+(\d+) kB$", re.MULTILINE)
_SETTLING = 0.2  # seconds for background work after the start
_OTHERS_STARTING = 2.0  # seconds for the other workers, which cannot be observed from outside


class Service:
    """A running server and its processes."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self.process = process
        self.port = port
        self.log = log
        self.front = 0  # the port of the proxy before it, if there is one

    def tree(self) -> list[psutil.Process]:
        """The process that was started and all its descendants."""
        root = psutil.Process(self.process.pid)
        return [root, *root.children(recursive=True)]

    def cpu_seconds(self) -> float:
        """User and system time of all processes, including exited ones that were waited for."""
        total = 0.0
        for each in self.tree():
            with contextlib.suppress(psutil.NoSuchProcess):
                total += sum(each.cpu_times()[:4])
        return total

    def pss(self) -> int:
        """Memory of all processes in bytes, each shared page divided by its users."""
        total = 0
        for each in self.tree():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                found = _PSS.search(Path(f"/proc/{each.pid}/smaps_rollup").read_text())
                total += int(found[1]) * 1024 if found else 0
        return total

    def log_lines(self) -> int:
        """Number of lines that the server has written."""
        with self.log.open("rb") as file:
            return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))

    def stop(self) -> None:
        """Kill all processes; they have no state to save."""
        tree = self.tree() if self.process.poll() is None else []
        for each in tree:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()
        psutil.wait_procs(tree, timeout=10)
        self.process.wait()


@contextlib.contextmanager
def running(server: Server, case: Case, core: int | None, client_core: int = 1) -> Iterator[Service]:
    """Run a server for a case on `core` (None: any core) within the block, after it has responded correctly."""
    with tempfile.TemporaryDirectory(prefix="corn-bench-") as directory:
        port, log = free_port(), Path(directory, "log")
        if case.secure:
            _issue(Path(directory))
        with log.open("wb") as out:
            process = subprocess.Popen(
                _command(server, case, port, core),
                cwd=directory,
                env=_environment(directory),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )
        service = Service(process, port, log)
        try:
            _await(service, case)
            with haproxy(Path(directory), port, client_core) if case.proxied else contextlib.nullcontext(0) as front:
                service.front = front
                yield service
        finally:
            service.stop()


def _issue(directory: Path) -> None:
    """Self-signed certificate, with a key of a common type."""
    names = ["-subj", "/CN=localhost", "-keyout", directory / KEYFILE, "-out", directory / CERTFILE]
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    subprocess.run(["openssl", "req", "-x509", *key, *names, "-days", "2"], check=True, capture_output=True)


def _await(service: Service, case: Case) -> None:
    try:
        await_answer(case, service.port, lambda: service.process.poll() is None)
    except WrongAnswerError as error:
        tail = service.log.read_text(errors="replace").strip()[-1000:]
        raise WrongAnswerError(f"{error}\n{tail}".strip()) from None
    time.sleep(_SETTLING if case.workers == 1 else _OTHERS_STARTING)


def _command(server: Server, case: Case, port: int, core: int | None) -> list[str]:
    program, *arguments = server.command(case, port)
    pinning = [] if core is None else ["taskset", "--cpu-list", str(core)]
    return [*pinning, str(_BIN / program), *arguments]


def _environment(home: str) -> dict[str, str]:
    """Environment without the caller's variables: some servers read options from it, or write files to HOME."""
    return {"PATH": os.environ["PATH"], "HOME": home, "PYTHONPATH": str(_ROOT), "LANG": "C.UTF-8"}
