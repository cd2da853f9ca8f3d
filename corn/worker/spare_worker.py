"""A worker that is forked before it is asked for, so that a reload does not wait for fork(2). For `corn dev`.

Copying the page tables of a process that holds pandas takes ten milliseconds, and a worker is forked twice
(template.py). So a template that has had nothing to do for a moment forks one ahead. The spare has not begun to be a
worker: it has all signals blocked, holds no end of the template's channel, and waits for the order that says which
worker to be. End of file instead means that the template is leaving, or gone; then so does the spare.

A spare that was killed is noticed when it is wanted, and a worker forked in its stead. For the master a spare is a
process that it does not know, until `Forked` names it.
"""

from __future__ import annotations

import os
import select
import socket

from corn.ipc.channel import Channel
from corn.ipc.messages import Fork
from corn.system.process import name_process, show_title

SETTLED = 0.3  # seconds without an order, after which a template forks one ahead


class SpareWorker:
    """The template's side of one: both ends of its channel until it is forked, then ours."""

    def __init__(self) -> None:
        ours, self._theirs = socket.socketpair()
        self._channel = Channel(ours)
        self.pid = 0

    def forked(self, pid: int) -> None:
        self.pid = pid
        self._theirs.close()

    def become(self, order: Fork, fds: tuple[int, ...]) -> bool:
        """Have it be the worker of `order`; False if it is gone."""
        if select.select([self._channel], [], [], 0)[0]:
            return False
        self._channel.send(order, fds)
        return True

    def wait(self) -> tuple[Fork, tuple[int, int]]:
        """In the spare: wait for the order; the process ends here if there is none."""
        self._channel.close()
        name_process("corn spare")
        show_title("corn: spare worker")
        channel = Channel(self._theirs)
        while not channel.closed:
            for message in channel.receive():
                if isinstance(message, Fork):
                    fds = channel.take_fd(), channel.take_fd()
                    channel.close()
                    return message, fds
        os._exit(0)

    def close(self) -> None:
        """Let go of it: it ends, unless it has become a worker."""
        self._channel.close()
        self._theirs.close()
