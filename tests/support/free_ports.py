"""Ports for programs that need to know theirs before they start."""

from __future__ import annotations

import contextlib
import random
import socket

_PORTS = range(20000, 30000)  # the kernel gives others to sockets that are bound to port 0
_random = random.SystemRandom()  # tests seed the usual generator


def free_ports(count: int) -> list[int]:
    """Different ports of 127.0.0.1 that are free now, and that no program receives for port 0."""
    ports: list[int] = []
    while len(ports) < count:
        port = _random.choice(_PORTS)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            if port not in ports:
                ports.append(port)
    return ports


def free_port() -> int:
    """Port of 127.0.0.1, as by `free_ports`."""
    return free_ports(1)[0]
