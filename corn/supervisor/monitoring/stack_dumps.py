"""Has workers write what they are doing to their reports, and says when they have.

A worker is asked by a signal, which is answered also where its event loop does not turn; but nobody says that the
answer is complete, so its file is looked at until it is, or until it grows no more. At most one dump of a worker is
under way: whoever asks meanwhile gets the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from corn.ipc.messages import STACKS_SIGNAL
from corn.ipc.stack_report import clear_report, is_complete, read_report
from corn.supervisor.children.spawn import WorkerHandle

_EVERY = 0.02
_QUIET = 0.7  # seconds without growth after which no more is expected: the interpreter is lost in C code
_PATIENCE = 5.0

Then = Callable[[str], None]


@dataclass(slots=True)
class _Dump:
    handle: WorkerHandle
    until: float
    grew_at: float
    then: list[Then] = field(default_factory=list)
    text: str = ""


class StackDumps:
    """The dumps that are under way, by worker."""

    def __init__(self) -> None:
        self._under_way: dict[int, _Dump] = {}
        self._next_look = 0.0

    def take(self, handle: WorkerHandle, then: Then) -> None:
        """Ask a worker, and call `then` with what it wrote, "" for nothing."""
        now = time.monotonic()
        dump = self._under_way.get(handle.id)
        if dump is None:
            clear_report(handle.report)
            dump = self._under_way[handle.id] = _Dump(handle, now + _PATIENCE, now)
            self._next_look = now + _EVERY
            handle.signal(STACKS_SIGNAL)
        dump.then.append(then)

    def next_at(self) -> float | None:
        return self._next_look if self._under_way else None

    def tick(self, now: float) -> None:
        """Look at the reports that are awaited."""
        if not self._under_way or now < self._next_look:
            return
        self._next_look = now + _EVERY
        for dump in list(self._under_way.values()):
            text = read_report(dump.handle.report)
            if text != dump.text:
                dump.text, dump.grew_at = text, now
            lost = bool(text) and now - dump.grew_at > _QUIET
            if is_complete(text) or lost or now >= dump.until:
                self._finish(dump)

    def forget(self, handle: WorkerHandle) -> str:
        """The worker has ended: finish its dump, and return what it wrote last and nobody has asked for."""
        dump = self._under_way.get(handle.id)
        text = read_report(handle.report)
        if dump is None:
            return text
        dump.text = text
        self._finish(dump)
        return ""

    def _finish(self, dump: _Dump) -> None:
        del self._under_way[dump.handle.id]
        clear_report(dump.handle.report)
        for then in dump.then:
            then(dump.text)
