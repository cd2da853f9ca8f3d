"""Who is at the other end of a Unix socket."""

from __future__ import annotations

import socket
import struct
import sys

_LOCAL_PEERCRED = 1  # of level 0, unix(4) of macOS: struct xucred, whose second word is the user


def peer_uid(sock: socket.socket) -> int:
    """The user who connected, as the kernel noted then (SO_PEERCRED, unix(7)); raises OSError where it cannot tell."""
    if sys.platform == "linux":
        credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        return int(struct.unpack("3i", credentials)[1])
    return int(struct.unpack_from("II", sock.getsockopt(0, _LOCAL_PEERCRED, 76))[1])
