"""System calls on sockets that belong to a transport, by their descriptor."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import struct
import termios


def unsent_bytes(fd: int) -> int:
    """Bytes written to a socket that its peer has not acknowledged; 0 where the system does not report them.

    SIOCOUTQ of tcp(7) and unix(7), which is the same as TIOCOUTQ on Linux. A peer that does not read stops
    acknowledging when its receive buffer is full.
    """
    try:
        return int(struct.unpack("i", fcntl.ioctl(fd, termios.TIOCOUTQ, b"\0\0\0\0"))[0])
    except (OSError, ValueError):
        return 0


class _Forks:
    """Forks of this process: a child that the application has forked holds the sockets that were open then."""

    happened = False

    @classmethod
    def count(cls) -> None:
        cls.happened = True

    @classmethod
    def reset(cls) -> None:
        cls.happened = False


def shut_down(fd: int) -> None:
    """Shut the connection down (shutdown(2)), if a child of this process may hold the socket too.

    close(2) does so only with the last descriptor. Where there is no child, a system call is saved, and the exception
    of a peer that was faster.
    """
    if fd >= 0 and _Forks.happened:
        # Family and type are given, so that no system call has to detect them.
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, fileno=fd)
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
        sock.detach()


def has_unread(sock: socket.socket) -> bool:
    """True if the kernel has bytes that the event loop has not read yet: a request that came at the last moment."""
    try:
        return bool(sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
    except OSError:
        return False


def reset_on_close(sock: socket.socket) -> None:
    """Have the kernel reset the connection when it is closed (SO_LINGER, socket(7))."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


os.register_at_fork(after_in_parent=_Forks.count, after_in_child=_Forks.reset)
