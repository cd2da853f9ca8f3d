"""Development interface of the master: the differences of `corn dev`, and the null object for `corn serve`."""

from __future__ import annotations

import selectors
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

from corn.ipc.messages import Message
from corn.ipc.template_setup import Setup
from corn.supervisor.policy.actions import AnnounceReload, ShowFailure
from corn.supervisor.policy.events import Event, StopRequested
from corn.supervisor.policy.state import RevisionFailure
from corn.supervisor.process.terminal import has_controlling_terminal

if TYPE_CHECKING:
    from corn.config import Config
    from corn.diagnosis.failure import Failure
    from corn.supervisor.children.child import Children


class Development(Protocol):
    """Session of `corn dev`, from the start of the master to its end."""

    @property
    def active(self) -> bool:
        """True for `corn dev`."""
        ...

    def start(
        self,
        selector: selectors.BaseSelector,
        children: Children,
        handle: Callable[[Event], None],
        reread: Callable[[], Config],
    ) -> None:
        """Start watching; changes are passed to `handle`, and `reread` reads the options again."""
        ...

    def closed_terminal(self, handle: Callable[[Event], None]) -> bool:
        """True if a SIGHUP was caused by a closed terminal, and therefore requests a stop."""
        ...

    def finish(self) -> None:
        """Release the resources of the session."""
        ...

    def adapt(self, setup: Setup, *, warm: bool) -> Setup:
        """Setup of a template, with the additions for development."""
        ...

    def left_out(self, packages: Iterable[str]) -> None:
        """Record that a template no longer loads these packages, because they are unsafe to fork."""
        ...

    def from_worker(self, worker: int, message: Message, at: float) -> Event | None:
        """Additional event for a worker's message, besides its meaning in `corn serve`."""
        ...

    def worker_exited(self, worker: int) -> None: ...

    def show_banner(self, addresses: Sequence[str]) -> None:
        """Show the application's address, once the first start is complete."""
        ...

    def next_at(self) -> float | None:
        """The monotonic time at which `tick` has something to do, None for never."""
        ...

    def tick(self, now: float) -> None: ...

    def announce(self, action: AnnounceReload) -> None:
        """Report a reload in the log and in browsers."""
        ...

    def show(self, action: ShowFailure) -> None:
        """Report a failure in the log and in browsers."""
        ...

    def failure_of(self, revision: int, broken: RevisionFailure) -> Failure:
        """Failure report for display."""
        ...


class NoDevelopment:
    """Null object for `corn serve`.

    A SIGHUP that was caused by a closed terminal requests a stop here too; any other SIGHUP requests a reload.
    """

    active = False

    def __init__(self) -> None:
        self._had_terminal = has_controlling_terminal()

    def start(
        self,
        selector: selectors.BaseSelector,
        children: Children,
        handle: Callable[[Event], None],
        reread: Callable[[], Config],
    ) -> None:
        del selector, children, handle, reread

    def closed_terminal(self, handle: Callable[[Event], None]) -> bool:
        is_closed = self._had_terminal and not has_controlling_terminal()
        if is_closed:
            handle(StopRequested(time.monotonic(), "SIGTERM", cause="its terminal was closed"))
        return is_closed

    def finish(self) -> None:
        pass

    def adapt(self, setup: Setup, *, warm: bool) -> Setup:
        del warm
        return setup

    def left_out(self, packages: Iterable[str]) -> None:
        del packages

    def from_worker(self, worker: int, message: Message, at: float) -> Event | None:
        del worker, message, at
        return None

    def worker_exited(self, worker: int) -> None:
        del worker

    def show_banner(self, addresses: Sequence[str]) -> None:
        del addresses

    def next_at(self) -> float | None:
        return None

    def tick(self, now: float) -> None:
        del now

    def announce(self, action: AnnounceReload) -> None:
        raise AssertionError(f"{action} outside of development")

    def show(self, action: ShowFailure) -> None:
        raise AssertionError(f"{action} outside of development")

    def failure_of(self, revision: int, broken: RevisionFailure) -> Failure:
        raise AssertionError(f"revision {revision} is {broken} outside of development")
