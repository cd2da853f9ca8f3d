"""Scaling by an operator; one test for each rule."""

from __future__ import annotations

from corn.supervisor.policy import events
from corn.supervisor.policy.state import Stage
from tests.support.policy_world import KILLED, SEGV, running


class TestScale:
    def test_scale_up_forks_current_generation_and_down_drains_last_slots(self):
        world = running(2)
        world.scale(+2)
        world.settle()
        assert world.ready_generations() == [1] * 4
        world.scale(-3)
        assert [world.state.workers[each].slot for each in world.draining] == [1, 2, 3]
        world.settle()
        assert world.ready_generations() == [1]

    def test_capacity_is_at_least_one(self):
        world = running(1)
        world.scale(-1)
        assert not world.draining

    def test_scale_down_keeps_ready_worker_until_remaining_one_is_ready(self):
        world = running(3)
        world.exits(world.state.in_slot(0)[0].id, KILLED)
        world.scale(-2)
        assert [worker.slot for worker in world.state.ready()] == [1]
        world.settle()
        assert [worker.slot for worker in world.state.ready()] == [0]

    def test_scale_down_removes_worker_that_is_not_ready_at_once(self):
        world = running(2)
        for worker in world.state.ready():
            world.exits(worker.id, KILLED)
        world.scale(-1)
        assert {worker.slot for worker in world.state.workers.values() if worker.is_live} == {0}

    def test_scale_up_during_reload_includes_candidate(self):
        world = running(2)
        world.hup()
        world.template_ready(2)
        world.scale(+1)
        world.settle()
        assert world.ready_generations() == [2] * 3

    def test_scale_request_outlives_template_loss_but_not_reload(self):
        world = running(2)
        world.scale(+1)
        world.settle()
        world.template_exits(1, KILLED)
        world.settle()
        assert world.ready_generations() == [2] * 3
        world.hup()
        world.settle()
        assert world.ready_generations() == [3] * 2


class TestRestart:
    def test_restarted_worker_drains_once_replacement_is_ready(self):
        world = running(2, min_worker_lifetime=1000.0)
        old = world.state.in_slot(1)[0]
        world.happens(events.RestartRequested(world.now, 1))
        assert world.state.workers[old.id].retiring == "requested by command"
        (new,) = world.in_stage(Stage.SPAWNING)
        assert world.state.workers[new].slot == 1
        assert not world.draining
        world.boots(new)
        world.ready(new)
        assert world.draining == {old.id}
        assert world.state.workers[old.id].reason == "requested by command"

    def test_canary_that_is_restarted_repeatedly_leaves_no_workers(self):
        world = running(1, soak=100.0)
        world.hup()
        world.template_ready(2)
        for _ in range(5):
            (new,) = world.in_stage(Stage.SPAWNING)
            world.boots(new)
            world.ready(new)
            assert world.ready_generations() == [1, 2]
            world.happens(events.RestartRequested(world.now, 0))
        reasons = {world.state.workers[each].reason for each in world.draining}
        assert reasons == {"requested by command"}

    def test_reason_of_worker_that_retires_already_is_kept(self):
        world = running(1, min_worker_lifetime=1000.0)
        worker = world.state.ready()[0].id
        world.retires(worker, "max requests")
        world.happens(events.RestartRequested(world.now, 0))
        assert world.state.workers[worker].retiring == "max requests"
        assert world.state.workers[worker].at_once

    def test_slot_that_waits_for_its_backoff_is_filled_now(self):
        world = running(2)
        for _ in range(3):
            worker = world.state.in_slot(1)[0].id
            if world.state.workers[worker].stage is Stage.SPAWNING:
                world.boots(worker)
                world.ready(worker)
            world.exits(worker, SEGV)
            if not world.state.in_slot(1):
                break
        assert world.state.in_slot(1) == []
        world.happens(events.RestartRequested(world.now, 1))
        assert len(world.state.in_slot(1)) == 1

    def test_withdrawn_canary_drains_while_restarted_worker_serves(self):
        world = running(1, soak=9)
        world.hup()
        world.settle()
        old, canary = (worker.id for worker in world.state.ready())
        world.happens(events.RestartRequested(world.now, 0))
        (replacement,) = world.in_stage(Stage.SPAWNING)
        world.happens(events.WorkerNotForked(world.now, replacement, "EAGAIN"))
        assert world.state.candidate is None, "the reload has failed"
        assert world.in_stage(Stage.READY) == [old]
        assert world.draining == {canary}
        world.settle()
        assert world.ready_generations() == [1]

    def test_stopping_master_restarts_and_drains_nothing(self):
        world = running(1)
        worker = world.state.ready()[0].id
        world.signal("SIGTERM")
        before = world.state
        world.happens(events.RestartRequested(world.now, 0))
        world.happens(events.DrainRequested(world.now, worker))
        assert world.state == before


class TestDrain:
    def test_drained_worker_leaves_at_once_and_is_replaced(self):
        world = running(2)
        worker = world.state.in_slot(1)[0].id
        world.happens(events.DrainRequested(world.now, worker))
        assert world.draining == {worker}
        assert world.state.workers[worker].reason == "requested by command"
        world.settle()
        assert world.ready_generations() == [1, 1]
        assert worker not in world.state.workers
