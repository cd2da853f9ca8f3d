"""What the master knows: templates, workers, slots, and the phase it is in. Pure, frozen data.

A *slot* is a place to fill, numbered from 0 to target - 1. A *worker* is one process that fills a slot, or has been
asked to leave it; its number is never used again. A *generation* is one version of the code: one template and the
workers forked from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import Any

from corn.supervisor.policy.backoff import Restarts

SPAWN_TIMEOUT = 5.0  # from asking for a fork to the worker's first word
ABORT_TIMEOUT = 2.0  # from SIGABRT to SIGKILL
KILL_TIMEOUT = 5.0  # from SIGKILL to giving the process up as unkillable
GRACE_MARGIN = 0.5  # for a worker to cancel what is in flight when its grace is over
QUICK_GRACE = 2.0  # for a worker to leave when it was told to leave at once
TEMPLATE_EXIT_TIMEOUT = 2.0


class Stage(Enum):
    """Where a worker is in its life (supervision.md 2.2)."""

    SPAWNING = "spawning"  # a fork was asked for
    BOOTING = "booting"  # it runs, and loads or starts the application
    READY = "ready"  # it accepts connections
    STUCK = "stuck"  # its event loop does not turn; it is being replaced
    DRAINING = "draining"  # it was asked to leave
    ABORTING = "aborting"  # it was sent SIGABRT, for its stacks
    KILLING = "killing"  # it was sent SIGKILL


LIVE = frozenset({Stage.SPAWNING, Stage.BOOTING, Stage.READY})


class TemplateStage(Enum):
    LOADING = "loading"
    READY = "ready"
    LEAVING = "leaving"
    KILLING = "killing"


class Phase(Enum):
    """Where the master is in its life (supervision.md 2.3)."""

    STARTING = "starting"
    RUNNING = "running"
    RELOADING = "reloading"
    STOPPING = "stopping"
    STOPPED = "stopped"


class Stop(IntEnum):
    """How urgently to stop; a stop is only ever made more urgent."""

    NO = 0
    GRACEFUL = 1
    QUICK = 2
    KILL = 3


@dataclass(frozen=True, slots=True)
class ProcessExit:
    """How a process ended: by an exit code, or by a signal's name; `note` is what else is known of the cause."""

    code: int | None = None
    signal: str = ""
    note: str = ""

    def __str__(self) -> str:
        how = f"killed by {self.signal}" if self.signal else f"exited with code {self.code}"
        return f"{how} ({self.note})" if self.note else how


@dataclass(frozen=True, slots=True)
class RevisionFailure:
    """Why a revision of the code cannot be served; `failure` is diagnosis.Failure as JSON, None where less is known."""

    error: str
    detail: str = ""
    failure: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """The options that the policy needs, under their names in the configuration; times in seconds.

    `development` makes it `corn dev` (development.py).
    """

    workers: int
    timeout_boot: float
    timeout_worker: float
    timeout_graceful_shutdown: float
    timeout_lifespan_shutdown: float
    drain_delay: float
    soak: float
    rollback_window: float
    min_worker_lifetime: float
    limit_lifetime: float | None
    limit_memory: int | None
    limit_memory_hard: int | None
    limit_memory_total: int | None
    keep_last_good: bool
    development: bool = False
    most_workers: int = 0  # where it is more than `workers`, the load decides between them (scaling.py)

    @property
    def time_to_leave(self) -> float:
        """How long a draining worker is let alone: its grace, its lifespan shutdown, and a moment to end."""
        return self.timeout_graceful_shutdown + self.timeout_lifespan_shutdown + (0.5 if self.development else 2.0)


@dataclass(frozen=True, slots=True)
class Worker:
    """One worker process; `since` is when its stage began, `reason` why it was asked to leave or why it failed."""

    id: int
    slot: int
    generation: int
    stage: Stage
    since: float
    deadline: float | None = None
    pid: int | None = None
    reason: str = ""
    retiring: str = ""  # why it is to be replaced; it serves until its replacement is ready
    accepts: bool = True  # as far as the master knows
    born: float = 0.0  # when the fork was asked for
    at_once: bool = False  # it is to be replaced without regard to how long it has lived
    over_memory: int = 0  # samples in a row in which it held too much
    grace_ends: float | None = None  # when a draining worker may not have requests in flight any more
    lagging: bool = False  # its event loop has been silent for half of what it may
    revision: int = 0  # in development, the version of the code
    responder: bool = False  # in development, whether it serves a failure
    overlaps: bool = False  # in development, it was spawned while another worker could hold what it needs

    @property
    def is_live(self) -> bool:
        return self.stage in LIVE

    @property
    def is_ready(self) -> bool:
        return self.stage is Stage.READY

    @property
    def code(self) -> int:
        """The version of the code that it runs: its generation, or its revision in development."""
        return self.revision or self.generation

    @property
    def retires_at_once(self) -> bool:
        """Somebody told it to leave, and it will not wait for long."""
        return self.at_once or self.retiring.startswith("SIG")

    @property
    def spread(self) -> float:
        """A number from 0 to 1 that differs between workers: chance, in a policy that has none."""
        return self.id * 0.618 % 1

    def __str__(self) -> str:
        pid = f", pid {self.pid}" if self.pid else ""
        return f"worker {self.slot} (generation {self.code}{pid})"


@dataclass(frozen=True, slots=True)
class Template:
    """One template process; `deadline` bounds its current stage. `missed` counts forks in a row that it did not do."""

    generation: int
    stage: TemplateStage
    settings: Settings
    since: float
    deadline: float | None = None
    preload: str = ""
    missed: int = 0
    warm: bool = False  # in development, whether it has packages loaded


@dataclass(frozen=True, slots=True)
class State:
    """Everything that `decide` decides from.

    `current` is the generation that is known to be good, `candidate` the one that a start or a reload is trying,
    `previous` the one that was current until `committed_at` and can still be returned to.
    `again` holds the settings of a reload asked for while one was under way. `failures` counts the workers that ended
    badly since one was last ready, and `unready_since` is when the last ready one was lost.
    """

    settings: Settings
    target: int
    phase: Phase = Phase.STARTING
    stop: Stop = Stop.NO
    stop_at: float | None = None  # a stop was asked for, and begins then; until then all goes on
    exit_code: int = 0
    current: int | None = None
    candidate: int | None = None
    previous: int | None = None
    committed_at: float = 0.0
    again: Settings | None = None
    scaled: int | None = None  # the number of workers that was asked for since the last reload was
    busy_since: float | None = None  # since when the workers have been busy enough for one more
    idle_since: float | None = None  # and idle enough for one fewer
    last_error: str = ""
    last_detail: str = ""  # the traceback of that error, or ""
    was_ready: bool = False  # some worker has been, so the start has not failed
    failures: int = 0
    unready_since: float | None = None
    upgrading: bool = False  # a successor was started and has not answered yet
    handed_over: bool = False  # it serves; what is left here only finishes
    revision: int = 1  # the version of the code, in development, which began at `changed_at`
    changed_at: float = 0.0
    broken: RevisionFailure | None = None  # why that revision is not served
    announced: bool = True  # whether it was told that the revision is served, or is not
    alone: bool = False  # in development, a worker is spawned once those before it have exited
    template_retries: int = 0
    template_retry_at: float | None = None
    next_worker: int = 1
    next_generation: int = 1
    workers: Mapping[int, Worker] = field(default_factory=dict)
    templates: Mapping[int, Template] = field(default_factory=dict)
    restarts: Mapping[int, Restarts] = field(default_factory=dict)

    def in_slot(self, slot: int) -> list[Worker]:
        """The live workers of a slot, in the order they were spawned."""
        return [worker for worker in self.workers.values() if worker.slot == slot and worker.is_live]

    def ready(self) -> list[Worker]:
        return [worker for worker in self.workers.values() if worker.is_ready]

    @property
    def served(self) -> int | None:
        """The version of the code that serves, None where none does."""
        if not self.settings.development:
            return self.current
        return max((each.revision for each in self.ready() if not each.responder), default=None)

    def can_fork(self, generation: int | None) -> bool:
        template = None if generation is None else self.templates.get(generation)
        return template is not None and template.stage is TemplateStage.READY
