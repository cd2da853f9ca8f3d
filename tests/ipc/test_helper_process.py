"""Helper processes, each a fresh interpreter with one end of a channel."""

import socket
import subprocess
import sys
from contextlib import contextmanager

from corn.ipc.channel import Channel
from corn.ipc.messages import Draining, Quit
from corn.system.process import BY_TEMPLATES

PROGRAM = """
import atexit, sys
from corn.ipc import helper_process
from corn.ipc.messages import Draining, Quit

def serve(channel):
    channel.send(Draining())
    while not channel.closed:
        for message in channel.receive():
            if isinstance(message, Quit):
                print("quit", end="")
                return
    print("closed", end="")

atexit.register(print, "exit handler")
helper_process.run(int(sys.argv[1]), serve)
"""


@contextmanager
def started():
    """A helper process that has begun to serve, and the other end of its channel."""
    ours, theirs = socket.socketpair()
    command = [sys.executable, "-c", PROGRAM, str(theirs.fileno())]
    with subprocess.Popen(command, pass_fds=[theirs.fileno()], stdout=subprocess.PIPE) as process:
        theirs.close()
        channel = Channel(ours)
        channel.set_timeout(20)
        try:
            assert channel.receive() == [Draining()]
            yield process, channel, ours
        finally:
            ours.close()
            process.kill()


def test_helper_process_exits_after_serving_without_exit_handlers():
    with started() as (process, channel, _):
        channel.send(Quit())
        assert process.communicate(timeout=20)[0] == b"quit"
        assert process.returncode == 0


def test_helper_process_exits_when_channel_closes():
    with started() as (process, _, sock):
        sock.close()
        assert process.communicate(timeout=20)[0] == b"closed"
        assert process.returncode == 0


def test_helper_process_ignores_group_signals():
    with started() as (process, channel, _):
        for number in BY_TEMPLATES:
            process.send_signal(number)
        channel.send(Quit())
        assert process.communicate(timeout=20)[0] == b"quit"
        assert process.returncode == 0
