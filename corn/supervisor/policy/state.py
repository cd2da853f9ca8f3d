"""State of the master: templates, workers, slots, and its phase. Pure, frozen data.

A *slot* is the position of a worker, numbered from 0 to target - 1. A *worker* is one process that fills a slot, or
drains from it; its number is never used again. A *generation* is one version of the code: one template and the
workers forked from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import Any

from corn.frozen import frozen
from corn.supervisor.policy.backoff import Restarts

SPAWN_TIMEOUT = 5.0  # from the request for a fork to the worker's first message
ABORT_TIMEOUT = 2.0  # from SIGABRT to SIGKILL
KILL_TIMEOUT = 5.0  # from SIGKILL to giving the process up as unkillable
GRACE_MARGIN = 0.5  # for a worker to cancel its in-flight requests when its grace is over
QUICK_GRACE = 2.0  # for a worker to exit when it was requested to exit at once
TEMPLATE_EXIT_TIMEOUT = 2.0


class Stage(Enum):
    """Stage in the life of a worker."""

    SPAWNING = "spawning"  # a fork was requested
    BOOTING = "booting"  # it runs, and loads or starts the application
    READY = "ready"  # it accepts connections
    STUCK = "stuck"  # its event loop is blocked; it is being replaced
    DRAINING = "draining"  # it finishes its in-flight requests, and exits
    ABORTING = "aborting"  # it was sent SIGABRT, for its stacks
    KILLING = "killing"  # it was sent SIGKILL


LIVE = (Stage.SPAWNING, Stage.BOOTING, Stage.READY)  # a tuple: a set would call the hash of Enum, which is no C


class TemplateStage(Enum):
    LOADING = "loading"
    READY = "ready"
    STOPPING = "stopping"
    KILLING = "killing"


class Phase(Enum):
    """Phase in the life of the master."""

    STARTING = "starting"
    RUNNING = "running"
    RELOADING = "reloading"
    STOPPING = "stopping"
    STOPPED = "stopped"


class Stop(IntEnum):
    """Urgency of a stop; it only ever increases."""

    NO = 0
    GRACEFUL = 1
    QUICK = 2
    KILL = 3


@frozen
class ProcessExit:
    """Exit of a process, by exit code or by signal name; `note` is what else is known of the cause."""

    code: int | None = None
    signal: str = ""
    note: str = ""

    def __str__(self) -> str:
        how = f"killed by {self.signal}" if self.signal else "exited"
        if self.code is not None:
            how = f"exited with code {self.code}"
        return f"{how} ({self.note})" if self.note else how


@frozen
class RevisionFailure:
    """Reason why a revision cannot be served; `failure` is diagnosis.Failure as JSON, None where less is known."""

    error: str
    detail: str = ""
    failure: Mapping[str, Any] | None = None


@frozen
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
    max_workers: int = 0  # where it is more than `workers`, the load decides between them (scaling.py)

    @property
    def drain_timeout(self) -> float:
        """Timeout of a draining worker: its grace, its lifespan shutdown, and a moment to exit."""
        return self.timeout_graceful_shutdown + self.timeout_lifespan_shutdown + (0.5 if self.development else 2.0)


@dataclass(frozen=True, slots=True)
class Worker:
    """One worker process; `since` is when its stage began, `reason` why it drains or why it failed."""

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
    spawned_at: float = 0.0  # when the fork was requested
    at_once: bool = False  # it is to be replaced without regard to how long it has lived
    over_memory: int = 0  # samples in a row in which it held too much
    grace_ends: float | None = None  # when the grace period of a draining worker ends
    lagging: bool = False  # its event loop has been blocked for half of `timeout_worker`
    revision: int = 0  # in development, the version of the code
    responder: bool = False  # in development, whether it serves a failure
    overlaps: bool = False  # in development, another worker may hold a resource that it needs to start

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
        """True if its age does not matter, or if it received a signal, whose sender will not wait for long."""
        return self.at_once or self.retiring.startswith("SIG")

    @property
    def spread(self) -> float:
        """Number from 0 to 1 that differs between workers; stands in for randomness, since the policy is pure."""
        return self.id * 0.618 % 1

    def __str__(self) -> str:
        pid = f", pid {self.pid}" if self.pid else ""
        return f"worker {self.slot} (generation {self.code}{pid})"


@frozen
class Template:
    """One template process; `deadline` bounds its current stage. `missed` counts requests in a row without a fork."""

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
    """Complete state of the master, from which `decide` works.

    `current` is the generation that is known to be good, `candidate` the one that a start or a reload is trying,
    `previous` the one that was current until `committed_at` and can still be returned to. `queued_reload` holds the
    settings of a reload requested while one was under way. `failures` counts the workers that failed since one was last
    ready, and `unready_since` is when the last ready one was lost.
    """

    settings: Settings
    target: int
    phase: Phase = Phase.STARTING
    stop: Stop = Stop.NO
    stop_at: float | None = None  # when a requested stop begins; until then the service continues
    exit_code: int = 0
    current: int | None = None
    candidate: int | None = None
    previous: int | None = None
    committed_at: float = 0.0
    queued_reload: Settings | None = None
    scaled: int | None = None  # the number of workers that was requested since the last requested reload
    busy_since: float | None = None  # since when the workers have been busy enough for one more
    idle_since: float | None = None  # and idle enough for one fewer
    last_error: str = ""
    last_detail: str = ""  # the traceback of that error, or ""
    was_ready: bool = False  # some worker has been ready, so the first start is over
    failures: int = 0
    unready_since: float | None = None
    upgrading: bool = False  # a successor was started and has not reported yet
    handed_over: bool = False  # the successor serves; this master only finishes
    revision: int = 1  # the version of the code, in development, which began at `changed_at`
    changed_at: float = 0.0
    broken: RevisionFailure | None = None  # why that revision is not served
    announced: bool = True  # whether it was announced that the revision is served, or is not
    exclusive: bool = False  # in development, a worker is spawned once those before it have exited
    template_retries: int = 0
    template_retry_at: float | None = None
    next_worker: int = 1
    next_generation: int = 1
    workers: Mapping[int, Worker] = field(default_factory=dict)
    templates: Mapping[int, Template] = field(default_factory=dict)
    restarts: Mapping[int, Restarts] = field(default_factory=dict)

    def in_slot(self, slot: int) -> list[Worker]:
        """The live workers of a slot, in the order they were spawned."""
        return [worker for worker in self.workers.values() if worker.slot == slot and worker.stage in LIVE]

    def ready(self) -> list[Worker]:
        return [worker for worker in self.workers.values() if worker.stage is Stage.READY]

    @property
    def kept(self) -> str:
        """What a refused reload leaves, for log lines and commands."""
        serves = "continues to serve" if self.is_served_by(self.current) else "has no ready worker"
        return f"generation {self.current} {serves}"

    @property
    def served(self) -> int | None:
        """The version of the code that serves, None where none does."""
        if not self.settings.development:
            return self.current
        return max((each.revision for each in self.ready() if not each.responder), default=None)

    def is_served_by(self, generation: int | None) -> bool:
        return any(worker.generation == generation for worker in self.ready())

    def served_slots(self) -> set[int]:
        """Slots below the target that have a ready worker of any code."""
        return {worker.slot for worker in self.ready() if worker.slot < self.target}

    def can_fork(self, generation: int | None) -> bool:
        template = None if generation is None else self.templates.get(generation)
        return template is not None and template.stage is TemplateStage.READY
