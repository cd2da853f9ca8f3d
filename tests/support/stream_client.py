"""Client of one response that does not end by itself, read in a thread."""

from __future__ import annotations

import socket
import threading
from urllib.parse import urlsplit


class Stream:
    """Response that is read in a thread until it ends."""

    def __init__(self, address, path):
        where = urlsplit(address)
        self._sock = socket.create_connection((where.hostname, where.port), 20)
        self._sock.sendall(f"GET {path} HTTP/1.1\r\nHost: corn\r\n\r\n".encode())
        self.text = ""
        self.begun = threading.Event()
        self._thread = threading.Thread(target=self._read)
        self._thread.start()
        assert self.begun.wait(20)

    def _read(self):
        with self._sock:
            while data := self._sock.recv(4096):
                self.text += data.decode()
                if "data" in self.text or self.text.endswith("o"):
                    self.begun.set()

    def wait(self):
        self._thread.join(20)
        assert not self._thread.is_alive()
        return self.text
