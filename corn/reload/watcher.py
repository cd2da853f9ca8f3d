"""Watcher process: reports changed files to the master, and reloads to browsers.

It is executed, never forked, because the notifier owns native threads, and because the master must not. It exits with
the master, and no signal but SIGKILL ends it before: Ctrl-C is handled by the master.

    notifier (threads) -> filters -> digests -> a batch (debounce) -> the master

A watched directory may be replaced or removed, by a checkout for example. The watcher checks its name until it is back,
and treats it as a new environment then: every process still has the old one for its working directory.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import NoReturn

from corn.ipc import helper_process
from corn.ipc.channel import Channel
from corn.ipc.messages import Changed, Message, Reloaded, ReloadFailed, Watching, WatchSetup
from corn.reload.debounce import Batch, Pace
from corn.reload.files import FileDigests, files_in
from corn.reload.filters import ASSET, COLD, RELOAD, WatchFilter
from corn.reload.live_reload_server import LiveReloadServer, ReloadState
from corn.reload.notifier import FileNotifier
from corn.reload.watch_tree import Identity, WatchTree, identity_of, read_mounts, scan
from corn.system.process import identify

_DELETED = 3  # watchfiles.Change.deleted
_SCANS_AT_A_TIME = 50
_MAX_SCANS = 5  # in a row: a program may make directories without end
_ROOT_INTERVAL, _LOST_ROOT_INTERVAL = (
    1.0,
    0.2,
)  # seconds between two checks of a directory: present, or removed
_AFTER_FAILURE = 0.2  # seconds until the notifier is started again
_GENERATED_WITHIN = 2.0  # seconds after a refresh in which another change of an image is attributed to the page
_IMAGES = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".svg")
_LIMIT = (
    "the limit of inotify watches is reached, so files are polled, which is slower; raise "
    "fs.inotify.max_user_watches and max_user_instances, or exclude directories with --reload-exclude"
)
_LEFT_OUT = "links to too many directories are not watched: %s; name the directories to watch with --reload-dir"


def main(channel_fd: int) -> NoReturn:
    """Run the watcher; the process exits here."""
    helper_process.run(channel_fd, _watch)


def _watch(channel: Channel) -> None:
    setup = next((each for each in channel.receive() if isinstance(each, WatchSetup)), None)
    if setup is not None:
        identify(setup.process_name, "watcher")
        channel.set_blocking(False)
        asyncio.run(Watcher(setup, channel).run())


def state_after(before: ReloadState, message: Message) -> ReloadState:
    """The state that browsers receive after the master has reported the outcome of a change."""
    match message:
        case Reloaded(assets=True):
            styles = any(path.endswith(".css") for path in message.paths)
            pages = any(not path.endswith(".css") for path in message.paths)
            paths, saved = tuple(message.paths), max(map(_saved_at, message.paths), default=0.0)
            return replace(
                before,
                styles=before.styles + styles,
                pages=before.pages + pages,
                paths=paths,
                saved=max(before.saved, saved),
            )
        case Reloaded():
            return replace(before, revision=message.generation, failed=False, paths=tuple(message.paths))
        case ReloadFailed():
            return replace(before, revision=message.generation, failed=True, paths=tuple(message.paths))
    return before


def _saved_at(path: str) -> float:
    """Time of the last save, which may have renamed a file that was written before; 0.0 if there is no such file."""
    try:
        return os.stat(path).st_ctime
    except OSError:
        return 0.0


class Watcher:
    """Watches the directories of a setup, until the channel is closed."""

    def __init__(self, setup: WatchSetup, channel: Channel) -> None:
        self._setup = setup
        self._channel = channel
        self._rules = WatchFilter(
            tuple(setup.directories), tuple(setup.include), tuple(setup.exclude), tuple(setup.files)
        )
        self._digests = FileDigests()
        self._tree = WatchTree()
        # As they were when the application was about to be loaded: a directory may have been replaced since then.
        self._roots: dict[str, Identity | None] = {
            each: (identity[0], identity[1]) if identity else None
            for each, identity in zip(setup.directories, setup.identities, strict=True)
        }
        self._with_parents = frozenset(_with_parents(setup.directories))
        self._batch = Batch()
        self._pace = Pace()
        self._image_refreshes: dict[str, float] = {}  # images, and when browsers were refreshed for them
        self._timer: asyncio.TimerHandle | None = None
        self._announced = ReloadState()
        self._browsers: LiveReloadServer | None = None
        if setup.refresh_fd >= 0:
            self._browsers = LiveReloadServer(socket.socket(fileno=setup.refresh_fd), setup.token)
            self._browsers.start()

    async def run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._closed = asyncio.Event()
        self._loop.add_reader(self._channel.fileno(), self._receive)
        self._notifier = FileNotifier(self._notified, self._notifier_failed, polling=self._setup.polling)
        self._watch()
        scanning = asyncio.create_task(self._scan_all())
        self._loop.call_later(_ROOT_INTERVAL, self._check_roots_periodically)
        await self._closed.wait()
        scanning.cancel()

    def _how(self) -> str:
        kinds = set(self._tree.polled.values())
        how = "polling" if self._notifier.polling else "reported by the kernel"
        if kinds and not self._notifier.polling:
            how += f", {len(self._tree.polled)} of them {' or '.join(sorted(kinds))}, by polling"
        return f"{len(self._tree.directories)} directories are watched ({how})"

    def _warning(self) -> str:
        if self._notifier.polling and not self._setup.polling:
            return _LIMIT
        return _LEFT_OUT % ", ".join(self._tree.left_out) if self._tree.left_out else ""

    def _receive(self) -> None:
        for message in self._channel.receive():
            if isinstance(message, ReloadFailed) or (isinstance(message, Reloaded) and not message.assets):
                self._pace.reloaded(time.monotonic())
                self._schedule()
            self._show(message)
        if self._channel.closed:
            self._closed.set()

    def _show(self, message: Message) -> None:
        """Report the outcome of a change to browsers."""
        state = state_after(self._announced, message)
        if self._browsers is not None and state != self._announced:
            self._announced = state
            self._browsers.announce(state)

    # Watched directories

    def _watch(self) -> None:
        """Watch the tree, and scan it again: a directory made after a scan, but before its parent is watched, is in
        neither the scan nor a report.
        """
        watched: set[str] | None = None
        for _ in range(_MAX_SCANS):
            self._tree = tree = scan(self._setup.directories, self._rules, read_mounts())
            outside = {os.path.dirname(each) for each in self._setup.files} | set(self._setup.packages) | tree.outside()
            existing = {each for each in tree.directories | outside if os.path.isdir(each)}
            if watched is not None and existing <= watched:
                return
            polled = existing & tree.polled.keys()
            self._notifier.watch(sorted(existing - polled), sorted(polled))
            watched = existing

    def _watch_new(self) -> None:
        """Watch the tree, and report the files that its new directories hold already."""
        before = self._tree.directories
        self._watch()
        for each in self._tree.directories - before:
            for path in files_in(each, self._rules):
                self._compare(path, deleted=False)

    async def _scan_all(self) -> None:
        """Record the contents of all files, and report those that were saved while corn started.

        Then report that watching has begun: a file that is deleted before it was recorded is not reported.
        """
        scanned = 0
        for directory in list(self._tree.directories):
            for path in files_in(directory, self._rules):
                if self._digests.remember(path) > self._setup.since:
                    self._record(path, self._setup.since)
                scanned += 1
                if scanned % _SCANS_AT_A_TIME == 0:
                    await asyncio.sleep(0)
        self._schedule()
        self._channel.send(Watching(self._how(), self._warning()))

    def _rescan(self) -> None:
        """Restart the watch, and report the changes since it was lost."""
        self._watch()
        existing = [path for each in self._tree.directories for path in files_in(each, self._rules)]
        for path in {*existing, *self._digests.known()}:
            saved = self._digests.changed(path)
            if saved is not None:
                self._record(path, saved)
        self._schedule()

    def _check_roots(self) -> None:
        """Detect that a watched directory was replaced or removed, or is back."""
        now = {each: identity_of(each) for each in self._roots}
        changed = [each for each in now if now[each] != self._roots[each]]
        self._roots = now
        for root in changed:
            self._record(root, time.time())
        if changed:
            self._rescan()

    def _check_roots_periodically(self) -> None:
        self._check_roots()
        delay = _LOST_ROOT_INTERVAL if None in self._roots.values() else _ROOT_INTERVAL
        self._loop.call_later(delay, self._check_roots_periodically)

    # Changes

    def _notified(self, changes: set[tuple[int, str]]) -> None:
        self._loop.call_soon_threadsafe(self._handle_changes, changes)

    def _notifier_failed(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.call_later, _AFTER_FAILURE, self._rescan)

    def _handle_changes(self, changes: set[tuple[int, str]]) -> None:
        for kind, path in sorted(changes):
            self._handle_change(path, deleted=kind == _DELETED)
        self._schedule()

    def _handle_change(self, path: str, *, deleted: bool) -> None:
        parent, name = os.path.split(path)
        if parent in self._setup.packages and parent not in self._tree.directories:
            if name.endswith((".dist-info", ".pth", ".egg-link")):
                self._batch.packages.add(path)
                self._batch.add(time.monotonic())
        elif deleted and path in self._tree.directories:
            self._remove_directory(path)
        elif os.path.isdir(path):
            self._add_directory_if_new(path)
        elif self._rules.classify(path).counts:
            self._compare(path, deleted=deleted)
            if os.path.islink(path) and self._tree.links.get(os.path.realpath(path)) != path:
                self._watch_new()  # the link is new, or its target has changed
        elif path in self._tree.links:
            self._compare(self._tree.links[path], deleted=deleted)

    def _compare(self, path: str, *, deleted: bool) -> None:
        saved = self._digests.changed(path)
        if saved is not None:
            self._record(path, saved)
            if deleted:
                self._batch.deleted.add(path)

    def _record(self, path: str, saved: float) -> None:
        self._batch.changed[path] = saved
        self._batch.add(time.monotonic())

    def _add_directory_if_new(self, directory: str) -> None:
        if os.path.islink(directory) and self._rules.includes_directory(directory):
            self._rescan()  # the target of the link may have changed
        elif directory not in self._tree.directories and self._rules.includes_directory(directory):
            self._watch_new()

    def _remove_directory(self, directory: str) -> None:
        """Forget a removed directory with all its files; another one may take its name.

        It counts if it held watched files: applications remove temporary directories when they exit for a reload.
        """
        if directory in self._roots:
            self._check_roots()
            return
        inside = directory + os.sep
        kept = {each for each in self._tree.directories if each != directory and not each.startswith(inside)}
        self._tree.directories = kept
        if any(each.startswith(inside) for each in self._digests.known()):
            self._record(directory, time.time())
        if os.path.isdir(directory):
            self._watch_new()

    # Reports to the master

    def _schedule(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._batch.is_empty:
            return
        if self._effect(self._batch) == ASSET:
            wait = self._batch.due(checkout=False) - time.monotonic()
        else:
            wait = self._pace.due(self._batch, checkout=self._git_is_at_work()) - time.monotonic()
        if wait <= 0:
            self._pass_on()
        else:
            self._timer = self._loop.call_later(wait, self._schedule)

    def _git_is_at_work(self) -> bool:
        return any(os.path.exists(os.path.join(each, ".git", "index.lock")) for each in self._with_parents)

    def _pass_on(self) -> None:
        batch, self._batch = self._batch, Batch()
        effect = self._effect(batch)
        if effect == ASSET:
            self._leave_out_generated(batch)
            if batch.is_empty:
                return
        else:
            self._pace.passed_on(batch, time.monotonic())
        saved = max(batch.changed.values(), default=time.time())
        age = min(max(0.0, time.time() - saved), 60.0)
        paths = [_printable(each) for each in (*sorted(batch.changed), *sorted(batch.packages))]
        self._channel.send(Changed(paths, effect, age))

    def _effect(self, batch: Batch) -> str:
        effects = {self._rules.classify(path).effect for path in batch.changed}
        is_back = any(self._roots.get(path) is not None for path in batch.changed)
        if batch.packages or is_back or COLD in effects:
            return COLD
        return ASSET if effects == {ASSET} else RELOAD

    def _leave_out_generated(self, batch: Batch) -> None:
        """Drop images that a page writes whenever it is loaded, because they would reload it in a loop."""
        now = time.monotonic()
        images = [path for path in batch.changed if path.endswith(_IMAGES)]
        for path in images:
            if now - self._image_refreshes.get(path, -_GENERATED_WITHIN) < _GENERATED_WITHIN:
                del batch.changed[path]
            self._image_refreshes[path] = now


def _printable(path: str) -> str:
    """A path that can be written to a log and sent to a browser, whatever bytes are in it."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _with_parents(directories: Iterable[str]) -> Iterator[str]:
    for each in directories:
        yield each
        while (parent := os.path.dirname(each)) != each:
            yield (each := parent)
