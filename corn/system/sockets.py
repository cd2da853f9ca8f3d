"""System calls on sockets that belong to a transport, by their descriptor."""

from __future__ import annotations

import contextlib
import fcntl
import socket
import struct
import termios


def unsent_bytes(fd: int) -> int:
    """Bytes written to a socket that its peer has not acknowledged; 0 where the system does not report them.

    SIOCOUTQ of tcp(7) and unix(7), which Linux has under the name of terminals, too. A peer that does not read stops
    acknowledging when its own buffer is full.
    """
    try:
        return int(struct.unpack("i", fcntl.ioctl(fd, termios.TIOCOUTQ, b"\0\0\0\0"))[0])
    except (OSError, ValueError):
        return 0


def shut_down(fd: int) -> None:
    """Shut the connection down (shutdown(2)), though another process may hold the socket too.

    close(2) does so only with the last descriptor, and a child that the application has forked has one as well.
    """
    if fd >= 0:
        # Family and type are given, so that no system call has to detect them.
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, fileno=fd)
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
        sock.detach()
