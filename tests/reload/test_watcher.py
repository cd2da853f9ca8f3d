"""Watcher process, as the master starts it."""

import contextlib
import socket
import subprocess
import sys
import time

from corn.config import Config
from corn.ipc.channel import Channel
from corn.ipc.messages import Changed, Watching
from corn.reload.filters import COLD
from corn.reload.watch_config import identities_of, rules_of, watch_setup

PROGRAM = "import sys; from corn.reload.watcher import main; main(int(sys.argv[1]))"


@contextlib.contextmanager
def watcher(setup):
    """A watcher that starts with this setup; its messages, as they arrive."""
    ours, theirs = socket.socketpair()
    command = [sys.executable, "-c", PROGRAM, str(theirs.fileno())]
    with ours, theirs, subprocess.Popen(command, pass_fds=[theirs.fileno()]) as process:
        theirs.close()
        channel = Channel(ours)
        channel.set_timeout(20)
        try:
            channel.send(setup)
            yield messages_of(channel)
        finally:
            process.kill()


def messages_of(channel):
    while not channel.closed:
        yield from channel.receive()


def next_of(kind, messages):
    return next(each for each in messages if isinstance(each, kind))


def setup_of(project):
    config = Config(app="main:app", reload_dir=(str(project),))
    return watch_setup(config, "", time.time(), identities_of(rules_of(config, "")))


def test_directory_replaced_before_watcher_starts_is_reported(tmp_path):
    """The files of the new directory may be older than the start, so their times do not show the change."""
    project, fresh = tmp_path / "project", tmp_path / "fresh"
    for each in (project, fresh):
        each.mkdir()
        (each / "main.py").write_text("")
    setup = setup_of(project)
    project.rename(tmp_path / "aside")
    fresh.rename(project)
    with watcher(setup) as messages:
        reported = next_of(Changed, messages)
    assert str(project) in reported.paths
    assert reported.effect == COLD


def test_files_of_directories_that_arrive_together_are_reported(tmp_path):
    project, aside = tmp_path / "project", tmp_path / "aside"
    project.mkdir()
    for name in ("empty", "package"):
        (aside / name).mkdir(parents=True)
    (aside / "package" / "module.py").write_text("")
    with watcher(setup_of(project)) as messages:
        next_of(Watching, messages)
        for each in ("empty", "package"):
            (aside / each).rename(project / each)
        assert next_of(Changed, messages).paths == [str(project / "package" / "module.py")]


def test_files_of_many_new_directories_are_all_reported(tmp_path):
    """Some of the directories are made between a scan of the tree and the watch of their parents."""
    project = tmp_path / "project"
    project.mkdir()
    with watcher(setup_of(project)) as messages:
        next_of(Watching, messages)
        expected = set()
        for number in range(1500):
            directory = project / f"a{number // 100}" / f"b{number}"
            directory.mkdir(parents=True)
            (directory / "module.py").write_text("")
            expected.add(str(directory / "module.py"))
        reported = set()
        while not expected <= reported:
            reported |= {*next_of(Changed, messages).paths}
