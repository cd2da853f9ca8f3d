"""Events of the master: facts, each with the monotonic time `at` (seconds) at which the shell observed it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from corn.errors import ExitCode
from corn.supervisor.policy.state import ProcessExit, Settings


@dataclass(frozen=True, slots=True)
class Event:
    at: float


@dataclass(frozen=True, slots=True)
class Started(Event):
    """The listeners are bound and the event loop runs."""


@dataclass(frozen=True, slots=True)
class TemplateReady(Event):
    generation: int
    preload: str


@dataclass(frozen=True, slots=True)
class TemplateSteppedDown(Event):
    """The template found its process unsafe to fork, and restarts with fewer modules loaded."""

    generation: int
    reason: str


@dataclass(frozen=True, slots=True)
class TemplateFailed(Event):
    generation: int
    error: str
    detail: str
    exit_code: int = 3


@dataclass(frozen=True, slots=True)
class TemplateExited(Event):
    generation: int
    end: ProcessExit


@dataclass(frozen=True, slots=True)
class WorkerForked(Event):
    worker: int
    pid: int


@dataclass(frozen=True, slots=True)
class WorkerNotForked(Event):
    worker: int
    error: str
    exit_code: int = ExitCode.APPLICATION


@dataclass(frozen=True, slots=True)
class WorkerBooting(Event):
    worker: int


@dataclass(frozen=True, slots=True)
class WorkerReady(Event):
    worker: int


@dataclass(frozen=True, slots=True)
class WorkerFailed(Event):
    """The application could not be loaded or started in this worker, which is about to exit."""

    worker: int
    error: str
    detail: str
    exit_code: int = 3
    failure: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class WorkerDebugging(Event):
    """In development: a worker waits in a debugger."""

    worker: int


@dataclass(frozen=True, slots=True)
class CodeChanged(Event):
    """In development: files have changed, `age` seconds ago. `cold`: they are part of the environment."""

    settings: Settings
    cold: bool
    age: float = 0.0


@dataclass(frozen=True, slots=True)
class PackagesKnown(Event):
    """In development: the packages that the application imports are known, and differ from those of a warm template."""


@dataclass(frozen=True, slots=True)
class WorkerRetiring(Event):
    """A worker requests its replacement; `at_once`: even before it has lived `min_worker_lifetime`."""

    worker: int
    reason: str
    at_once: bool = False


@dataclass(frozen=True, slots=True)
class WorkerDraining(Event):
    """The worker has stopped accepting connections, as the master requested."""

    worker: int


@dataclass(frozen=True, slots=True)
class WorkerExited(Event):
    worker: int
    end: ProcessExit


@dataclass(frozen=True, slots=True)
class ReloadRequested(Event):
    settings: Settings


@dataclass(frozen=True, slots=True)
class StopRequested(Event):
    """A request to stop: by `signal` (SIGTERM, SIGINT or SIGQUIT), or by a command of the same effect, in `cause`."""

    signal: str
    cause: str = ""


@dataclass(frozen=True, slots=True)
class RollbackRequested(Event):
    """A request to return to the previous generation."""


@dataclass(frozen=True, slots=True)
class RestartRequested(Event):
    """A request to replace the worker of a slot, or to start it now if the slot waits for its backoff."""

    slot: int


@dataclass(frozen=True, slots=True)
class DrainRequested(Event):
    """A request to drain a worker: it accepts no more connections, and exits."""

    worker: int


@dataclass(frozen=True, slots=True)
class UpgradeRequested(Event):
    """A request for a new master that takes over."""


@dataclass(frozen=True, slots=True)
class SuccessorReady(Event):
    """The new master serves, on the same sockets."""


@dataclass(frozen=True, slots=True)
class SuccessorFailed(Event):
    """The new master failed, or could not be started."""

    error: str


@dataclass(frozen=True, slots=True)
class ScaleRequested(Event):
    delta: int


@dataclass(frozen=True, slots=True)
class LoadSampled(Event):
    """Load of the ready workers since the last sample, 0 to 1, and lag of their event loops, in seconds."""

    busy: float
    lag: float


@dataclass(frozen=True, slots=True)
class MemorySampled(Event):
    """Memory of each worker, and of all processes together, in bytes (PSS)."""

    workers: Mapping[int, int]
    total: int


@dataclass(frozen=True, slots=True)
class HeartbeatsSeen(Event):
    """Heartbeat age of each worker: how long its event loop has been blocked, in seconds."""

    ages: Mapping[int, float]


@dataclass(frozen=True, slots=True)
class Tick(Event):
    """Passage of time, without any other news."""
