"""Recycling, memory limits and heartbeats; one test for each rule."""

from __future__ import annotations

from corn.supervisor.policy import actions, events
from corn.supervisor.policy.actions import AbortWorker, DrainWorker, KillWorker
from corn.supervisor.policy.state import Stage
from tests.support.policy_world import KILLED, of_kind, running, texts


class TestRecycle:
    def test_recycled_worker_drains_after_replacement_is_ready(self):
        world = running(2)
        old = world.state.ready()[0]
        world.retires(old.id)
        assert world.state.workers[old.id].is_ready
        (new,) = world.in_stage(Stage.SPAWNING)
        assert not world.draining
        world.boots(new)
        world.ready(new)
        assert world.draining == {old.id}
        world.exits(old.id)
        assert "exited: max requests" in texts(world)[-1]

    def test_recycling_replaces_workers_sequentially(self):
        world = running(4)
        for worker in world.state.ready():
            world.retires(worker.id)
        for _ in range(4):
            (new,) = world.in_stage(Stage.SPAWNING)
            assert len(world.state.ready()) == 4
            world.boots(new)
            world.ready(new)
        assert not world.in_stage(Stage.SPAWNING)
        world.settle()
        assert world.ready_generations() == [1] * 4

    def test_retired_worker_that_exits_is_not_crashed(self):
        world = running(1)
        worker = world.state.ready()[0].id
        world.retires(worker, "SIGTERM")
        world.exits(worker)
        assert "exited: SIGTERM" in texts(world)[-1]
        assert not world.state.restarts
        world.settle()
        assert world.ready_generations() == [1]

    def test_recycling_waits_for_min_worker_lifetime(self):
        world = running(1, min_worker_lifetime=2.0)
        world.retires(world.state.ready()[0].id)
        assert not world.in_stage(Stage.SPAWNING)
        world.passes(2.1)
        assert world.in_stage(Stage.SPAWNING)

    def test_recycling_after_sigterm_to_worker_is_immediate(self):
        world = running(1, min_worker_lifetime=2.0)
        world.retires(world.state.ready()[0].id, "SIGTERM")
        assert world.in_stage(Stage.SPAWNING)

    def test_lifetime_limit_is_spread_over_workers(self):
        world = running(4, limit_lifetime=100.0)
        world.passes(99)
        assert not world.in_stage(Stage.SPAWNING)
        for _ in range(5):
            world.passes(2.4)
            assert len(world.in_stage(Stage.SPAWNING)) <= 1
            world.settle()
        assert world.ready_generations() == [1] * 4
        assert sum("exited: lifetime" in text for text in texts(world)) == 4


MIB = 1 << 20


class TestMemory:
    def sample(self, world, *sizes, total=0):
        workers = {worker.id: size * MIB for worker, size in zip(world.state.ready(), sizes, strict=False)}
        world.happens(events.MemorySampled(world.now, workers, total * MIB))

    def test_memory_limit_exceeded_in_three_samples_replaces_worker(self):
        world = running(2, limit_memory=100 * MIB)
        for sizes in ((120, 10), (120, 10), (90, 10), (120, 10), (120, 10)):
            self.sample(world, *sizes)
        assert not world.in_stage(Stage.SPAWNING)
        self.sample(world, 130, 10)
        assert len(world.in_stage(Stage.SPAWNING)) == 1
        world.settle()
        assert "exited: memory 130 MiB, limit 100 MiB" in texts(world)[-1]

    def test_memory_limit_exceeded_by_all_replaces_sequentially(self):
        world = running(4, limit_memory=100 * MIB)
        for _ in range(3):
            self.sample(world, 120, 120, 120, 120)
        assert len(world.in_stage(Stage.SPAWNING)) == 1
        world.settle()
        assert min(worker.id for worker in world.state.ready()) > 4

    def test_hard_memory_limit_drains_without_grace(self):
        world = running(2, limit_memory_hard=200 * MIB)
        first = world.state.ready()[0].id
        self.sample(world, 201, 10)
        assert DrainWorker(first, 0.0, False) in world.did
        assert len(world.in_stage(Stage.SPAWNING)) == 1

    def test_memory_total_limit_exceeded_replaces_largest_worker(self):
        world = running(3, limit_memory_total=200 * MIB)
        self.sample(world, 50, 90, 80, total=220)
        self.sample(world, 50, 90, 95, total=235)
        assert [worker.slot for worker in world.state.workers.values() if worker.retiring] == [1]


class TestLiveness:
    def look(self, world, *ages):
        seen = {worker.id: age for worker, age in zip(world.state.ready(), ages, strict=False)}
        return world.happens(events.HeartbeatsSeen(world.now, seen))

    def test_heartbeat_at_half_timeout_dumps_stacks_once(self):
        world = running(2, timeout_worker=10.0)
        first = world.state.ready()[0].id
        assert actions.DumpWorker(first) in self.look(world, 5.1, 0.2)
        assert self.look(world, 6.0, 0.2) == []
        self.look(world, 0.1, 0.2)
        assert "has recovered: its event loop is no longer blocked" in texts(world)[-1]

    def test_stuck_worker_dumps_stacks_unless_it_has_before(self):
        world = running(2, timeout_worker=10.0)
        first, second = (each.id for each in world.state.ready())
        dumps = (actions.DumpWorker(first), actions.DumpWorker(second))
        assert dumps[1] in self.look(world, 0.2, 5.1)
        did = self.look(world, 10.1, 10.1)
        assert [each in did for each in dumps] == [True, False]
        assert len(world.in_stage(Stage.STUCK)) == 2

    def test_heartbeat_timeout_replaces_then_aborts_then_kills(self):
        world = running(2, timeout_worker=10.0)
        stuck = world.state.ready()[0].id
        self.look(world, 10.1, 0.2)
        (new,) = world.in_stage(Stage.SPAWNING)
        assert AbortWorker(stuck) not in world.did
        world.boots(new)
        world.ready(new)
        assert AbortWorker(stuck) in world.did
        world.passes(2.1)
        assert KillWorker(stuck) in world.did
        world.exits(stuck, KILLED)
        assert "exited: stuck: its event loop has been blocked for 10.1 s" in texts(world)[-1]
        assert not world.state.restarts, "it does not count as a crash"

    def test_stuck_worker_without_replacement_is_aborted(self):
        world = running(1, timeout_worker=10.0)
        stuck = world.state.ready()[0].id
        self.look(world, 10.1)
        world.passes(5.1)
        assert AbortWorker(stuck) in world.did

    def test_stuck_worker_that_recovers_while_replaced_is_drained(self):
        world = running(1, timeout_worker=10.0)
        stuck = world.state.ready()[0].id
        self.look(world, 10.1)
        world.happens(events.HeartbeatsSeen(world.now, {stuck: 0.1}))
        assert world.draining == {stuck}

    def test_heartbeat_timeout_of_one_second_is_checked(self):
        world = running(1, timeout_worker=1.0)
        (worker,) = world.workers
        world.happens(events.HeartbeatsSeen(world.now, {99: 0.1, worker: 1.1}))
        assert world.in_stage(Stage.STUCK) == [worker]

    def test_heartbeat_timeout_0_disables_check(self):
        world = running(1, timeout_worker=0.0)
        assert self.look(world, 1e6) == []

    def test_blocked_worker_is_aborted_when_its_grace_is_over(self):
        world = running(2, timeout_worker=0.0, timeout_graceful_shutdown=10.0)
        serving, draining = world.workers
        world.happens(events.DrainRequested(world.now, draining))
        for seconds, did in ((10.1, []), (0.5, [AbortWorker(draining)])):
            world.passes(seconds)
            found = world.happens(events.HeartbeatsSeen(world.now, {serving: 11.0, draining: 11.0}))
            assert of_kind(found, AbortWorker) == did
