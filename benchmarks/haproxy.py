"""HAProxy in front of a server under test, with persistent connections to the server."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

_CONFIG = """
global
  nbthread 1
  maxconn 4096
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  http-reuse always
frontend front
  bind 127.0.0.1:{front}
  default_backend back
backend back
  server one 127.0.0.1:{port}
"""
_PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin"


def program() -> str | None:
    """Path of the executable."""
    return shutil.which("haproxy", path=_PATH)


@contextlib.contextmanager
def haproxy(directory: Path, port: int, core: int) -> Iterator[int]:
    """Run HAProxy in front of `port`, on the client's core, within the block; yields its port."""
    front, file = free_port(), directory / "haproxy.cfg"
    file.write_text(_CONFIG.format(front=front, port=port))
    process = subprocess.Popen(["taskset", "--cpu-list", str(core), program() or "haproxy", "-f", str(file)])
    try:
        _await(front, process)
        yield front
    finally:
        process.kill()
        process.wait()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _await(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 10
    while not _listens(port):
        if time.monotonic() > deadline or process.poll() is not None:
            raise OSError("haproxy does not listen")
        time.sleep(0.02)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
