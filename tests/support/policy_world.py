"""World without processes: it performs the policy's actions in memory, and a test chooses the next event."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from corn.supervisor.policy import actions, events
from corn.supervisor.policy.deadlines import next_wake
from corn.supervisor.policy.decide import decide
from corn.supervisor.policy.state import ProcessExit, Settings, Stage, State, TemplateStage

KILLED = ProcessExit(signal="SIGKILL")
CLEAN = ProcessExit(code=0)
SEGV = ProcessExit(signal="SIGSEGV")


def settings_with(**options: Any) -> Settings:
    """Settings of a test, with defaults without effect for the other options."""
    common: dict[str, Any] = {
        "workers": 1,
        "timeout_boot": 60.0,
        "timeout_worker": 30.0,
        "timeout_graceful_shutdown": 30.0,
        "timeout_lifespan_shutdown": 5.0,
        "drain_delay": 0.0,
        "soak": 0.0,
        "rollback_window": 0.0,
        "min_worker_lifetime": 0.0,
        "limit_lifetime": None,
        "limit_memory": None,
        "limit_memory_hard": None,
        "limit_memory_total": None,
        "keep_last_good": False,
    }
    return Settings(**{**common, **options})


@dataclass
class World:
    """`state` is the policy's; `templates` and `workers` are the running processes."""

    settings: Settings = field(default_factory=settings_with)
    now: float = 100.0
    said: list[actions.LogLine] = field(default_factory=list)
    did: list[actions.Action] = field(default_factory=list)
    templates: set[int] = field(default_factory=set)
    workers: dict[int, int] = field(default_factory=dict)
    draining: set[int] = field(default_factory=set)
    killed: set[int] = field(default_factory=set)
    stopping_templates: set[int] = field(default_factory=set)
    exit_code: int | None = None
    pids: int = 1000

    def __post_init__(self) -> None:
        self.state = State(settings=self.settings, target=self.settings.workers)

    def happens(self, event: events.Event) -> list[actions.Action]:
        """Pass an event to the policy; returns its actions."""
        self.state, asked = decide(self.state, event)
        for action in asked:
            self._perform(action)
        self.did += asked
        return list(asked)

    def _perform(self, action: actions.Action) -> None:
        match action:
            case actions.SpawnTemplate(generation):
                assert generation not in self.templates
                self.templates.add(generation)
            case actions.StopTemplate(generation) | actions.KillTemplate(generation):
                self.stopping_templates.add(generation)
            case actions.SpawnWorker(worker, _, generation):
                assert generation in self.templates - self.stopping_templates, "forked from a template that is gone"
                assert worker not in self.workers
                self.workers[worker] = generation
            case actions.DrainWorker(worker):
                assert worker in self.workers, "drained a worker that is gone"
                self.draining.add(worker)
            case actions.KillWorker(worker) | actions.AbortWorker(worker):
                assert worker in self.workers, "killed a worker that is gone"
                self.killed.add(worker)
            case actions.DumpWorker(worker):
                assert worker in self.workers, "asked a worker that is gone for its stacks"
            case actions.LogLine():
                self.said.append(action)
            case actions.Exit(code):
                self.exit_code = code

    # Events

    def start(self) -> None:
        self.happens(events.Started(self.now))

    def template_ready(self, generation: int) -> None:
        self.happens(events.TemplateReady(self.now, generation, "app"))

    def template_fails(self, generation: int, error: str = "it broke") -> None:
        self.happens(events.TemplateFailed(self.now, generation, error, "Traceback"))
        self.template_exits(generation, ProcessExit(code=3))

    def template_exits(self, generation: int, end: ProcessExit = CLEAN) -> None:
        self.templates.discard(generation)
        self.stopping_templates.discard(generation)
        self.happens(events.TemplateExited(self.now, generation, end))

    def boots(self, worker: int) -> None:
        self.pids += 1
        self.happens(events.WorkerForked(self.now, worker, self.pids))
        self.happens(events.WorkerBooting(self.now, worker))

    def ready(self, worker: int) -> None:
        self.happens(events.WorkerReady(self.now, worker))

    def fails(self, worker: int, error: str = "lifespan broke") -> None:
        self.happens(events.WorkerFailed(self.now, worker, error, "Traceback"))
        self.exits(worker, ProcessExit(code=3))

    def exits(self, worker: int, end: ProcessExit = CLEAN) -> None:
        self.workers.pop(worker)
        self.draining.discard(worker)
        self.killed.discard(worker)
        self.happens(events.WorkerExited(self.now, worker, end))

    def retires(self, worker: int, reason: str = "max requests") -> None:
        self.happens(events.WorkerRetiring(self.now, worker, reason))

    def hup(self, settings: Settings | None = None) -> None:
        self.happens(events.ReloadRequested(self.now, settings or self.settings))

    def signal(self, name: str) -> None:
        self.happens(events.StopRequested(self.now, name))

    def usr2(self) -> None:
        self.happens(events.UpgradeRequested(self.now))

    def scale(self, delta: int) -> None:
        self.happens(events.ScaleRequested(self.now, delta))

    def passes(self, seconds: float) -> None:
        """Let time pass, with a tick at each deadline of the policy."""
        end = self.now + seconds
        while (wake := next_wake(self.state, self.now)) is not None and wake <= end:
            self.now = max(wake, self.now)
            before = self.state
            self.happens(events.Tick(self.now))
            if self.state == before:
                break
        self.now = end
        self.happens(events.Tick(self.now))

    # Sequences of events

    def settle(self) -> None:
        """Complete all pending operations successfully: loads, boots, drains and kills."""
        for _ in range(200):
            before = self.state
            for template in list(self.state.templates.values()):
                if template.stage is TemplateStage.LOADING:
                    self.template_ready(template.generation)
            for generation in self.stopping_templates & self.templates:
                self.template_exits(generation)
            for worker in list(self.workers):
                self._go_on(worker)
            if self.state == before:
                return
        raise AssertionError("the world does not settle")

    def lose_all(self) -> None:
        """Kill the current generation's template and all workers."""
        assert self.state.current is not None
        self.template_exits(self.state.current, KILLED)
        for worker in list(self.workers):
            self.exits(worker, KILLED)

    def _go_on(self, worker: int) -> None:
        record = self.state.workers.get(worker)
        if worker in self.killed:
            self.exits(worker, KILLED)
        elif worker in self.draining or record is None:
            self.exits(worker)
        elif record.stage is Stage.SPAWNING:
            self.boots(worker)
        elif record.stage is Stage.BOOTING:
            self.ready(worker)

    def in_stage(self, stage: Stage) -> list[int]:
        return [worker.id for worker in self.state.workers.values() if worker.stage is stage]

    def ready_generations(self) -> list[int]:
        """Generations of the ready workers, by slot."""
        return [worker.generation for worker in sorted(self.state.ready(), key=lambda worker: worker.slot)]


def running(workers: int = 4, **settings: float) -> World:
    """World in which corn has started and all workers are ready."""
    world = World(settings_with(workers=workers, **settings))
    world.start()
    world.settle()
    assert world.ready_generations() == [1] * workers
    return world


def of_kind(found: list[actions.Action], kind: type[actions.Action]) -> list[Any]:
    """Actions of one kind."""
    return [action for action in found if isinstance(action, kind)]


def texts(world: World) -> list[str]:
    """Logged texts."""
    return [each.text for each in world.said]
