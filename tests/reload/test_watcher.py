"""Watcher process, as the master starts it."""

import socket
import subprocess
import sys
import time

from corn.config import Config
from corn.ipc.channel import Channel
from corn.ipc.messages import Changed
from corn.reload.filters import COLD
from corn.reload.watch_config import identities_of, rules_of, watch_setup

PROGRAM = "import sys; from corn.reload.watcher import main; main(int(sys.argv[1]))"


def changes_reported_by_new_watcher(setup):
    """The first report of a watcher that starts with this setup."""
    ours, theirs = socket.socketpair()
    command = [sys.executable, "-c", PROGRAM, str(theirs.fileno())]
    with ours, theirs, subprocess.Popen(command, pass_fds=[theirs.fileno()]) as process:
        theirs.close()
        channel = Channel(ours)
        channel.set_timeout(20)
        try:
            channel.send(setup)
            while not channel.closed:
                for message in channel.receive():
                    if isinstance(message, Changed):
                        return message
        finally:
            process.kill()
    return None


def test_directory_replaced_before_watcher_starts_is_reported(tmp_path):
    """The files of the new directory may be older than the start, so their times do not show the change."""
    project, fresh = tmp_path / "project", tmp_path / "fresh"
    for each in (project, fresh):
        each.mkdir()
        (each / "main.py").write_text("")
    config = Config(app="main:app", reload_dir=(str(project),))
    identities = identities_of(rules_of(config, ""))
    setup = watch_setup(config, "", time.time(), identities)
    project.rename(tmp_path / "aside")
    fresh.rename(project)
    reported = changes_reported_by_new_watcher(setup)
    assert reported is not None
    assert str(project) in reported.paths
    assert reported.effect == COLD
