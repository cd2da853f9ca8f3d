"""Actions of the policy: imperatives that executor.py carries out in order."""

from __future__ import annotations

from enum import Enum

from corn.frozen import frozen
from corn.supervisor.policy.state import RevisionFailure


@frozen
class Action:
    pass


@frozen
class SpawnTemplate(Action):
    """Execute a fresh interpreter that loads the application of the newest configuration."""

    generation: int
    warm: bool = False  # in development, load the packages that the application imports


@frozen
class StopTemplate(Action):
    generation: int


@frozen
class KillTemplate(Action):
    generation: int


@frozen
class SpawnWorker(Action):
    worker: int
    slot: int
    generation: int
    gated: bool = False  # it must pass the health check before it accepts connections
    revision: int = 0
    broken: RevisionFailure | None = None  # serve this instead of the application


@frozen
class DrainWorker(Action):
    worker: int
    grace: float
    final: bool
    fast: bool = False  # no grace period for streams and idle connections


@frozen
class AbortWorker(Action):
    """SIGABRT: the worker's fault handler writes its stacks, then it dies."""

    worker: int


@frozen
class DumpWorker(Action):
    """Request a stack dump from a worker, which continues to serve."""

    worker: int


@frozen
class KillWorker(Action):
    worker: int


@frozen
class CloseListeners(Action):
    """`handed_over`: a successor listens on the same sockets, so their files stay."""

    handed_over: bool = False


@frozen
class StartSuccessor(Action):
    """Execute a new master that inherits the listening sockets."""


@frozen
class StopSuccessor(Action):
    pass


class Level(Enum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@frozen
class LogLine(Action):
    """Log one line; `detail` (a traceback) follows it."""

    level: Level
    text: str
    detail: str = ""


@frozen
class Announce(Action):
    """All workers of the first start are ready: log the start-up line."""

    preload: str


@frozen
class AnnounceReload(Action):
    """In development: all slots are served by this revision, `seconds` after it was saved."""

    revision: int
    seconds: float


@frozen
class ShowFailure(Action):
    """In development: show why this revision cannot be served."""

    revision: int
    broken: RevisionFailure
    seconds: float


@frozen
class Exit(Action):
    code: int
