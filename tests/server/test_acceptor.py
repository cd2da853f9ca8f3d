"""Accepted sockets."""

import socket

import pytest

from corn.server.acceptor import AcceptedSocket


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6, socket.AF_UNIX])
def test_accepted_socket_has_numbers_of_its_descriptor(family):
    with socket.socket(family, socket.SOCK_STREAM) as origin:
        sock = AcceptedSocket(int(family), int(socket.SOCK_STREAM), origin.proto, fileno=origin.detach())
        with sock:
            assert (sock.family, sock.type) == (family, socket.SOCK_STREAM)
            assert (type(sock.family), type(sock.type)) == (int, int)
