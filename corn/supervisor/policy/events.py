"""What can happen to the master: facts, each with the monotonic time `at` (seconds) at which the shell learnt of it."""

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
    """The listeners are bound and the loop turns."""


@dataclass(frozen=True, slots=True)
class TemplateReady(Event):
    generation: int
    preload: str


@dataclass(frozen=True, slots=True)
class TemplateSteppedDown(Event):
    """The template found what it loaded unsafe to fork, and starts afresh with less."""

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
    """The application could not be loaded or started in this worker, which is about to leave."""

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
    """In development: which packages the application imports is known, and is not what a warm template has loaded."""


@dataclass(frozen=True, slots=True)
class WorkerRetiring(Event):
    """A worker asked to be replaced, or is to be, `at_once`: before it has lived `min_worker_lifetime`."""

    worker: int
    reason: str
    at_once: bool = False


@dataclass(frozen=True, slots=True)
class WorkerDraining(Event):
    """The worker accepts no more connections, as it was told."""

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
    """`signal` is SIGTERM, SIGINT or SIGQUIT, or stands for a command that means the same, named by `cause`."""

    signal: str
    cause: str = ""


@dataclass(frozen=True, slots=True)
class RollbackRequested(Event):
    """The previous generation shall serve again."""


@dataclass(frozen=True, slots=True)
class RestartRequested(Event):
    """The worker of a slot shall be replaced, or started now if it waits to be."""

    slot: int


@dataclass(frozen=True, slots=True)
class DrainRequested(Event):
    """A worker shall take no more connections from now on, and leave."""

    worker: int


@dataclass(frozen=True, slots=True)
class UpgradeRequested(Event):
    """A new master shall take over."""


@dataclass(frozen=True, slots=True)
class SuccessorReady(Event):
    """The new master serves, on the same sockets."""


@dataclass(frozen=True, slots=True)
class SuccessorFailed(Event):
    """There will be no new master."""

    error: str


@dataclass(frozen=True, slots=True)
class ScaleRequested(Event):
    delta: int


@dataclass(frozen=True, slots=True)
class LoadSampled(Event):
    """How busy the ready workers were since the last sample, 0 to 1, and how late their event loops are, in seconds."""

    busy: float
    lag: float


@dataclass(frozen=True, slots=True)
class MemorySampled(Event):
    """What each worker holds, and all processes together, in bytes (PSS)."""

    workers: Mapping[int, int]
    total: int


@dataclass(frozen=True, slots=True)
class HeartbeatsSeen(Event):
    """For each worker the seconds since its event loop last turned."""

    ages: Mapping[int, float]


@dataclass(frozen=True, slots=True)
class Tick(Event):
    """Time has passed; nothing else is new."""
