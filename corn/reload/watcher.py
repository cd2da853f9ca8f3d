"""The watcher: a process of its own that tells the master which files have changed, and browsers that it has reloaded.

It is executed, never forked, because the notifier owns native threads, and because the master must not. It ends when
the master does, and no signal but SIGKILL ends it before: Ctrl-C is the master's to answer.

    notices (a thread) -> what counts (rules.py) -> what differs (contents.py) -> a batch (batches.py) -> the master
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from corn.ipc.channel import Channel
from corn.ipc.messages import Changed, Message, Reloaded, ReloadFailed, Watching, WatchSetup
from corn.reload.debounce import Batch
from corn.reload.files import FileDigests, directories_below, files_in, needs_polling, read_mounts
from corn.reload.filters import ASSET, COLD, RELOAD, WatchFilter
from corn.reload.live_reload_server import LiveReloadServer, ReloadState
from corn.reload.notifier import FileNotifier
from corn.system.process import die_with_parent, name_process, show_title

_DELETED = 3  # watchfiles.Change.deleted
_LOOKS_AT_A_TIME = 50
_LIMIT = (
    "the system's limit of watches is reached, so files are looked at again and again, which takes time; raise "
    "fs.inotify.max_user_watches and max_user_instances, or leave directories out with --reload-exclude"
)


def main(channel_fd: int) -> NoReturn:
    """Run the watcher; the process ends here."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    die_with_parent(signal.SIGKILL)
    name_process("corn watcher")
    show_title("corn: watcher")
    channel = Channel(socket.socket(fileno=channel_fd))
    setup = next((each for each in channel.receive() if isinstance(each, WatchSetup)), None)
    if setup is not None:
        channel.set_blocking(False)
        asyncio.run(Watcher(setup, channel).run())
    os._exit(0)


def told_after(before: ReloadState, message: Message) -> ReloadState:
    """What browsers are to know after the master has said how a change ended."""
    match message:
        case Reloaded(assets=True):
            styles = any(path.endswith(".css") for path in message.paths)
            return replace(before, styles=before.styles + styles, paths=tuple(message.paths))
        case Reloaded():
            return replace(before, revision=message.generation, failed=False, paths=tuple(message.paths))
        case ReloadFailed():
            return replace(before, revision=message.generation, failed=True, paths=tuple(message.paths))
    return before


class Watcher:
    """Watches what a setup names, until the channel is closed."""

    def __init__(self, setup: WatchSetup, channel: Channel) -> None:
        self._setup = setup
        self._channel = channel
        self._rules = WatchFilter(
            tuple(setup.directories), tuple(setup.include), tuple(setup.exclude), tuple(setup.files)
        )
        self._contents = FileDigests()
        self._batch = Batch()
        self._timer: asyncio.TimerHandle | None = None
        self._told = ReloadState()
        self._announcer: LiveReloadServer | None = None
        if setup.refresh_fd >= 0:
            self._announcer = LiveReloadServer(socket.socket(fileno=setup.refresh_fd), setup.token)
            self._announcer.start()

    async def run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._gone = asyncio.Event()
        self._loop.add_reader(self._channel.fileno(), self._hear)
        kind = self._kind_that_needs_polling()
        self._notices = FileNotifier(self._heard_in_thread, polling=self._setup.polling or bool(kind))
        self._watch()
        why = f", because it is on {kind}" if kind else ""
        how = f"polling{why}" if self._notices.polling else "told by the system"
        unasked = self._notices.polling and not (self._setup.polling or kind)
        self._send(Watching(f"{len(self._directories)} directories are watched ({how})", _LIMIT if unasked else ""))
        looking = asyncio.create_task(self._look_at_all())
        await self._gone.wait()
        looking.cancel()

    def _hear(self) -> None:
        for message in self._channel.receive():
            self._hear_message(message)
        if self._channel.closed:
            self._gone.set()

    def _hear_message(self, message: Message) -> None:
        """Pass on to browsers what came of a change."""
        told = told_after(self._told, message)
        if self._announcer is not None and told != self._told:
            self._told = told
            self._announcer.announce(told)

    def _send(self, message: Message) -> None:
        self._channel.send(message)

    # What is watched

    def _kind_that_needs_polling(self) -> str:
        mounts = read_mounts()
        kinds = (needs_polling(each, mounts) for each in self._setup.directories)
        return next((kind for kind in kinds if kind), "")

    def _watch(self) -> None:
        self._directories = {each for root in self._setup.directories for each in directories_below(root, self._rules)}
        outside = {os.path.dirname(each) for each in self._setup.files} | set(self._setup.packages)
        self._notices.watch(sorted(each for each in self._directories | outside if os.path.isdir(each)))

    async def _look_at_all(self) -> None:
        """Learn what the files hold now, and report those that were saved while corn started."""
        looks = 0
        for directory in list(self._directories):
            for path in files_in(directory, self._rules):
                if self._contents.remember(path) > self._setup.since:
                    self._note(path, self._setup.since)
                looks += 1
                if looks % _LOOKS_AT_A_TIME == 0:
                    await asyncio.sleep(0)
        self._schedule()

    # What has changed

    def _heard_in_thread(self, told: set[tuple[int, str]]) -> None:
        self._loop.call_soon_threadsafe(self._heard, told)

    def _heard(self, told: set[tuple[int, str]]) -> None:
        for kind, path in sorted(told):
            self._judge(path, gone=kind == _DELETED)
        self._schedule()

    def _judge(self, path: str, *, gone: bool) -> None:
        parent, name = os.path.split(path)
        if parent in self._setup.packages and parent not in self._directories:
            if name.endswith((".dist-info", ".pth", ".egg-link")):
                self._batch.packages.add(path)
                self._batch.add(time.monotonic())
        elif gone and path in self._directories:
            self._leave(path)
        elif os.path.isdir(path):
            if path not in self._directories and self._rules.enters(path):
                self._enter(path)
        elif self._rules.judge(path).counts:
            saved = self._contents.changed(path)
            if saved is not None:
                self._note(path, saved)
                if gone:
                    self._batch.gone.add(path)

    def _note(self, path: str, saved: float) -> None:
        self._batch.changed[path] = saved
        self._batch.add(time.monotonic())

    def _enter(self, directory: str) -> None:
        """A directory is new: watch it too, and count what is in it already."""
        self._watch()
        for each in directories_below(directory, self._rules):
            for path in files_in(each, self._rules):
                saved = self._contents.changed(path)
                if saved is not None:
                    self._note(path, saved)

    def _leave(self, directory: str) -> None:
        """A directory is gone, with all that was in it, and may be back as another one."""
        inside = directory + os.sep
        self._directories = {each for each in self._directories if each != directory and not each.startswith(inside)}
        self._note(directory, time.time())
        if os.path.isdir(directory):
            self._enter(directory)

    # What is passed on

    def _schedule(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._batch.is_empty:
            return
        wait = self._batch.due(checkout=self._git_is_at_work()) - time.monotonic()
        if wait <= 0:
            self._pass_on()
        else:
            self._timer = self._loop.call_later(wait, self._schedule)

    def _git_is_at_work(self) -> bool:
        return any(
            (parent / ".git" / "index.lock").exists()
            for root in self._setup.directories
            for parent in (Path(root), *Path(root).parents)
        )

    def _pass_on(self) -> None:
        batch, self._batch = self._batch, Batch()
        saved = max(batch.changed.values(), default=time.time())
        age = min(max(0.0, time.time() - saved), 60.0)
        self._send(Changed(sorted(batch.changed) + sorted(batch.packages), self._effect(batch), age))

    def _effect(self, batch: Batch) -> str:
        effects = {self._rules.judge(path).effect for path in batch.changed}
        if batch.packages or COLD in effects:
            return COLD
        return ASSET if effects == {ASSET} else RELOAD
