"""Events of the master: facts, each with the monotonic time `at` (seconds) at which the shell observed it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from corn.errors import ExitCode
from corn.frozen import frozen
from corn.supervisor.policy.state import ProcessExit, Settings


@frozen
class Event:
    at: float


@frozen
class Started(Event):
    """The listeners are bound and the event loop runs."""


@frozen
class TemplateReady(Event):
    generation: int
    preload: str


@frozen
class TemplateSteppedDown(Event):
    """The template found its process unsafe to fork, and restarts with fewer modules loaded."""

    generation: int
    reason: str


@frozen
class TemplateFailed(Event):
    generation: int
    error: str
    detail: str
    exit_code: int = ExitCode.APPLICATION


@frozen
class TemplateExited(Event):
    generation: int
    end: ProcessExit


@frozen
class WorkerForked(Event):
    worker: int
    pid: int


@frozen
class WorkerNotForked(Event):
    worker: int
    error: str
    exit_code: int = ExitCode.APPLICATION


@frozen
class WorkerBooting(Event):
    worker: int


@frozen
class WorkerReady(Event):
    worker: int


@frozen
class WorkerFailed(Event):
    """The application could not be loaded or started in this worker, which is about to exit."""

    worker: int
    error: str
    detail: str
    exit_code: int = ExitCode.APPLICATION
    failure: Mapping[str, Any] | None = None


@frozen
class WorkerDebugging(Event):
    """In development: a worker waits in a debugger."""

    worker: int


@frozen
class CodeChanged(Event):
    """In development: files have changed, `age` seconds ago. `cold`: they are part of the environment."""

    settings: Settings
    cold: bool
    age: float = 0.0


@frozen
class PackagesKnown(Event):
    """In development: the packages that the application imports are known, and differ from those of a warm template."""


@frozen
class WorkerRetiring(Event):
    """A worker requests its replacement; `at_once`: even before it has lived `min_worker_lifetime`."""

    worker: int
    reason: str
    at_once: bool = False


@frozen
class WorkerDraining(Event):
    """The worker has stopped accepting connections, as the master requested."""

    worker: int


@frozen
class WorkerExited(Event):
    worker: int
    end: ProcessExit


@frozen
class ReloadRequested(Event):
    settings: Settings


@frozen
class StopRequested(Event):
    """A request to stop: by `signal` (SIGTERM, SIGINT or SIGQUIT), or by a command of the same effect, in `cause`."""

    signal: str
    cause: str = ""


@frozen
class RollbackRequested(Event):
    """A request to return to the previous generation."""


@frozen
class RestartRequested(Event):
    """A request to replace the worker of a slot, or to start it now if the slot waits for its backoff."""

    slot: int


@frozen
class DrainRequested(Event):
    """A request to drain a worker: it accepts no more connections, and exits."""

    worker: int


@frozen
class UpgradeRequested(Event):
    """A request for a new master that takes over."""


@frozen
class SuccessorReady(Event):
    """The new master serves, on the same sockets."""


@frozen
class SuccessorFailed(Event):
    """The new master failed, or could not be started."""

    error: str


@frozen
class ScaleRequested(Event):
    delta: int


@frozen
class LoadSampled(Event):
    """Load of the ready workers since the last sample, 0 to 1, and average lag of their event loops, in seconds."""

    busy: float
    lag: float


@frozen
class MemorySampled(Event):
    """Memory of each worker, and of all processes together, in bytes (PSS)."""

    workers: Mapping[int, int]
    total: int


@frozen
class HeartbeatsSeen(Event):
    """Heartbeat age of each worker: how long its event loop has been blocked, in seconds."""

    ages: Mapping[int, float]


@frozen
class Tick(Event):
    """Passage of time, without any other news."""
