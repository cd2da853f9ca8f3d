"""Random sequences of events against the policy, with its invariants checked after each step."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from corn.supervisor.policy import events
from corn.supervisor.policy.state import Phase, ProcessExit, Stage, TemplateStage
from tests.support.policy_world import KILLED, World, settings_with

ENDS = st.sampled_from(
    [KILLED, ProcessExit(signal="SIGSEGV"), ProcessExit(code=0), ProcessExit(code=1), ProcessExit(signal="SIGTERM")]
)
PICK = st.integers(0, 1000)


def _settings(workers):
    return settings_with(
        workers=workers,
        timeout_worker=10,
        soak=1,
        rollback_window=20,
        min_worker_lifetime=1,
        limit_lifetime=60,
        limit_memory=100 << 20,
        limit_memory_hard=200 << 20,
        limit_memory_total=800 << 20,
    )


class Master(RuleBasedStateMachine):
    """Random events, in any order."""

    world: World
    kind: type[World] = World

    @initialize(workers=st.integers(1, 5), drain_delay=st.sampled_from([0, 0, 3]), more=st.integers(0, 3))
    def start(self, workers, drain_delay, more):
        self.more = more
        settings = replace(_settings(workers), drain_delay=drain_delay, max_workers=workers + more)
        self.world = self.kind(settings)
        self.ready_before: set[int] = set()
        self.may_lose = True
        self.world.start()

    def _pick(self, choices, number):
        choices = sorted(choices)
        return choices[number % len(choices)] if choices else None

    def _worker_in(self, stage, number):
        return self._pick([each for each in self.world.in_stage(stage) if each in self.world.workers], number)

    def _loading(self, number):
        templates = self.world.state.templates.values()
        return self._pick([each.generation for each in templates if each.stage is TemplateStage.LOADING], number)

    @rule(number=PICK)
    def template_loads(self, number):
        loading = [
            each.generation for each in self.world.state.templates.values() if each.stage is TemplateStage.LOADING
        ]
        generation = self._pick(loading, number)
        if generation:
            self.world.template_ready(generation)

    @rule(number=PICK)
    def template_does_not_load(self, number):
        loading = [
            each.generation for each in self.world.state.templates.values() if each.stage is TemplateStage.LOADING
        ]
        generation = self._pick(loading, number)
        if generation:
            self.world.template_fails(generation)

    @rule(number=PICK, end=ENDS)
    def template_ends(self, number, end):
        generation = self._pick(self.world.templates, number)
        if generation:
            self.world.template_exits(generation, end)

    @rule(number=PICK)
    def worker_boots(self, number):
        worker = self._worker_in(Stage.SPAWNING, number)
        if worker:
            self.world.boots(worker)

    @rule(number=PICK)
    def worker_is_not_forked(self, number):
        worker = self._worker_in(Stage.SPAWNING, number)
        if worker:
            del self.world.workers[worker]
            self.world.happens(events.WorkerNotForked(self.world.now, worker, "EAGAIN"))

    @rule(number=PICK)
    def worker_gets_ready(self, number):
        worker = self._worker_in(Stage.BOOTING, number)
        if worker:
            self.world.ready(worker)

    @rule(number=PICK)
    def worker_fails_to_boot(self, number):
        worker = self._worker_in(Stage.BOOTING, number)
        if worker:
            self.world.fails(worker)

    @rule(number=PICK, end=ENDS)
    def worker_ends(self, number, end):
        worker = self._pick(self.world.workers, number)
        if worker:
            self.may_lose = True
            self.world.exits(worker, end)

    @rule(number=PICK)
    def draining_worker_exits(self, number):
        worker = self._pick(self.world.draining | self.world.killed, number)
        if worker:
            self.world.exits(worker)

    @rule(number=PICK)
    def worker_asks_to_be_replaced(self, number):
        worker = self._worker_in(Stage.READY, number)
        if worker:
            self.world.retires(worker)

    @rule(ages=st.lists(st.sampled_from([0.1, 6, 11, 50]), min_size=8, max_size=8))
    def heartbeats_are_seen(self, ages):
        self.may_lose = True
        seen = dict(zip(sorted(self.world.workers), ages, strict=False))
        self.world.happens(events.HeartbeatsSeen(self.world.now, seen))

    @rule(sizes=st.lists(st.sampled_from([1, 150, 250]), min_size=8, max_size=8), total=st.sampled_from([100, 900]))
    def memory_is_sampled(self, sizes, total):
        self.may_lose = True
        sampled = {worker: size << 20 for worker, size in zip(sorted(self.world.workers), sizes, strict=False)}
        self.world.happens(events.MemorySampled(self.world.now, sampled, total << 20))

    @rule(workers=st.integers(1, 5))
    def reload(self, workers):
        self.may_lose = True
        self.world.hup(replace(_settings(workers), max_workers=workers + self.more))

    @rule(busy=st.sampled_from([0.0, 0.4, 0.9, 1.0]), lag=st.sampled_from([0.0, 0.2]), seconds=st.integers(0, 70))
    def load_is_sampled(self, busy, lag, seconds):
        self.may_lose = True
        for _ in range(2):
            before = self.world.state.target
            self.world.happens(events.LoadSampled(self.world.now, busy, lag))
            assert abs(self.world.state.target - before) <= 1
            settings = self.world.state.settings
            if self.world.state.scaled is None and self.world.state.target != before:
                assert settings.workers <= self.world.state.target <= settings.max_workers
            self.world.passes(seconds)

    @rule(delta=st.sampled_from([-1, 1]))
    def scale(self, delta):
        self.may_lose = True
        self.world.scale(delta)

    @rule(number=PICK)
    def operator_restarts_a_worker(self, number):
        self.world.happens(events.RestartRequested(self.world.now, number % 6))

    @rule(number=PICK)
    def operator_drains_a_worker(self, number):
        worker = self._worker_in(Stage.READY, number)
        if worker:
            self.may_lose = True
            self.world.happens(events.DrainRequested(self.world.now, worker))

    @rule(really=st.integers(0, 4))
    def operator_rolls_back(self, really):
        if really == 0:
            self.may_lose = True
            self.world.happens(events.RollbackRequested(self.world.now))

    @rule(seconds=st.sampled_from([0.01, 0.3, 1, 5, 40, 100]))
    def time_passes(self, seconds):
        self.world.passes(seconds)

    @precondition(lambda self: self.world.exit_code is None)
    @rule(signal=st.sampled_from(["SIGTERM", "SIGINT", "SIGQUIT"]), really=st.integers(0, 9))
    def stop(self, signal, really):
        if really == 0:
            self.may_lose = True
            self.world.signal(signal)

    @rule()
    def all_goes_well(self):
        if self.world.exit_code is None:
            self.world.settle()

    # Invariants

    @invariant()
    def live_workers_are_of_two_generations_and_of_a_third_only_while_a_withdrawn_one_is_replaced(self):
        live = {worker.generation for worker in self.world.state.workers.values() if worker.is_live}
        state = self.world.state
        withdrawn = live - {state.current, state.candidate}
        assert len(live) <= 3
        if withdrawn and state.can_fork(state.current):
            leaving = [worker for worker in state.workers.values() if worker.generation in withdrawn and worker.is_live]
            assert all(worker.is_ready for worker in leaving), "a withdrawn generation boots no worker"

    @invariant()
    def no_slot_has_more_than_one_worker_that_is_wanted(self):
        state = self.world.state
        for slot in range(state.target):
            live = state.in_slot(slot)
            assert len(live) <= 3
            assert sum(not worker.is_ready for worker in live) <= 1

    @invariant()
    def a_slot_that_can_be_filled_is_filled(self):
        state = self.world.state
        if state.phase not in (Phase.RUNNING, Phase.RELOADING) or not state.can_fork(state.current):
            return
        for slot in range(state.target):
            waits = state.restarts.get(slot)
            assert state.in_slot(slot) or (waits is not None and waits.not_before > self.world.now)

    @invariant()
    def ready_workers_are_drained_only_when_their_slot_is_served(self):
        state = self.world.state
        if state.phase in (Phase.STOPPING, Phase.STOPPED):
            return
        served = {worker.slot for worker in state.ready()}
        for worker in state.workers.values():
            lost = worker.id in self.ready_before and worker.stage is Stage.DRAINING
            if lost and worker.slot < state.target and not self.may_lose:
                assert worker.slot in served, f"{worker} was drained without a replacement"
            if lost and worker.slot >= state.target and worker.reason == "scaled down":
                assert len(served) >= state.target, f"{worker} was drained, and too few are ready"
        self.ready_before = {worker.id for worker in state.ready()}
        self.may_lose = False

    @invariant()
    def after_a_reload_has_ended_all_new_workers_are_of_the_current_generation(self):
        state = self.world.state
        if state.phase is Phase.RUNNING:
            booting = [worker for worker in state.workers.values() if worker.is_live and not worker.is_ready]
            assert all(worker.generation == state.current for worker in booting)

    @invariant()
    def it_leaves_only_for_a_reason(self):
        if self.world.exit_code is not None:
            assert not self.world.state.workers
            assert not self.world.state.templates
            assert self.world.exit_code in (0, 3, 5, 130)

    def teardown(self):
        """A stop always terminates, reports the exit of each worker, and leaves none."""
        if not hasattr(self, "world") or self.world.exit_code is not None:
            return
        self.world.signal("SIGTERM")
        self.world.settle()
        self.world.passes(300)
        self.world.settle()
        assert self.world.exit_code is not None
        assert not self.world.state.workers


TestMaster = Master.TestCase
TestMaster.settings = settings(
    max_examples=300, stateful_step_count=60, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
