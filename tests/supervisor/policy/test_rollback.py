"""Rollback after a reload, and the loss of a template; one test for each rule."""

from __future__ import annotations

import itertools

from corn.supervisor.policy.actions import DrainWorker, SpawnTemplate
from corn.supervisor.policy.state import Stage
from tests.support.policy_world import KILLED, SEGV, of_kind, running, settings_with, texts


class TestRollback:
    def reloaded(self, **settings):
        world = running(2, rollback_window=60.0, **settings)
        world.hup()
        world.settle()
        assert world.ready_generations() == [2, 2]
        return world

    def test_previous_template_is_kept_for_rollback_window(self):
        world = self.reloaded()
        assert world.templates == {1, 2}
        world.passes(61)
        world.settle()
        assert world.templates == {2}

    def test_crash_soon_after_commit_rolls_back_without_reload(self):
        world = self.reloaded()
        world.passes(1)
        world.exits(world.state.ready()[0].id, SEGV)
        assert "rolled back: generation 1 serves again" in texts(world)[-1]
        world.settle()
        assert world.ready_generations() == [1, 1]
        assert texts(world)[-1].endswith("exited: rolled back")
        assert world.templates == {1}
        assert len(of_kind(world.did, SpawnTemplate)) == 2

    def test_crash_long_after_commit_does_not_roll_back(self):
        world = self.reloaded()
        world.passes(6)
        world.exits(world.state.ready()[0].id, SEGV)
        world.settle()
        assert world.ready_generations() == [2, 2]

    def test_rollback_ignores_workers_killed_from_outside(self):
        world = self.reloaded()
        world.exits(world.state.ready()[0].id, KILLED)
        world.settle()
        assert world.ready_generations() == [2, 2]

    def test_rollback_restores_previous_settings(self):
        world = running(2, rollback_window=60.0)
        world.hup(settings_with(workers=3, rollback_window=60.0))
        world.settle()
        assert world.ready_generations() == [2] * 3
        world.exits(world.state.ready()[0].id, SEGV)
        world.settle()
        assert world.ready_generations() == [1, 1]

    def test_rollback_restores_all_previous_settings(self):
        world = running(1, rollback_window=60.0)
        world.hup(settings_with(workers=1, rollback_window=60.0, timeout_graceful_shutdown=7.0))
        world.settle()
        world.exits(*world.workers, SEGV)
        world.settle()
        world.signal("SIGTERM")
        assert of_kind(world.did, DrainWorker)[-1].grace == 30.0

    def test_rollback_happens_once(self):
        world = self.reloaded()
        for _ in range(2):
            world.exits(world.state.ready()[0].id, SEGV)
            world.settle()
        assert sum(each.startswith("rolled back") for each in texts(world)) == 1

    def test_rollback_fills_slots_that_waited_for_backoff(self):
        world = self.reloaded()
        world.exits(world.state.ready()[0].id, KILLED)
        for _ in range(2):
            world.passes(0.5)
            (booting,) = world.in_stage(Stage.SPAWNING)
            world.boots(booting)
            world.fails(booting)
        assert world.in_stage(Stage.SPAWNING) == []
        world.exits(world.state.ready()[0].id, SEGV)
        world.settle()
        assert world.ready_generations() == [1, 1]

    def test_crash_during_next_reload_does_not_roll_back(self):
        world = self.reloaded()
        world.hup()
        world.exits(world.state.ready()[0].id, SEGV)
        assert world.state.candidate == 3
        world.settle()
        assert world.ready_generations() == [3, 3]

    def test_crash_after_previous_template_was_lost_does_not_roll_back(self):
        world = self.reloaded()
        world.template_exits(1, KILLED)
        world.exits(world.state.ready()[0].id, SEGV)
        world.settle()
        assert world.ready_generations() == [2, 2]

    def test_rollback_window_keeps_one_previous_generation(self):
        world = self.reloaded()
        world.hup()
        world.settle()
        assert world.templates == {2, 3}


class TestTemplateLost:
    def test_lost_template_and_workers_restore_previous_generation(self):
        world = running(2, rollback_window=60.0)
        world.hup()
        world.settle()
        world.passes(10)
        world.template_exits(2, KILLED)
        world.template_fails(3)
        for worker in world.state.ready():
            world.exits(worker.id, KILLED)
        world.settle()
        assert world.ready_generations() == [1, 1]

    def test_lost_template_with_ready_workers_is_loaded_from_disk(self):
        world = running(2, rollback_window=60.0)
        world.hup()
        world.settle()
        world.passes(10)
        world.template_exits(2, KILLED)
        assert (world.state.current, world.state.candidate) == (2, 3)
        world.settle()
        assert world.ready_generations() == [3, 3]

    def test_template_lost_during_reload_is_replaced_by_candidate(self):
        world = running(2)
        world.hup()
        world.template_exits(1, KILLED)
        assert world.templates == {2}
        world.settle()
        assert world.ready_generations() == [2, 2]
        assert len(of_kind(world.did, SpawnTemplate)) == 2

    def test_loaded_template_ends_delays_of_retries(self):
        world = running(1)
        world.template_exits(1, KILLED)
        world.template_fails(2)
        world.passes(10)
        world.settle()
        generation = world.state.current
        world.template_exits(generation, KILLED)
        assert world.state.candidate == generation + 1

    def test_lost_template_keeps_workers_and_loads_candidate(self):
        world = running(2)
        world.template_exits(1, KILLED)
        assert world.ready_generations() == [1, 1]
        assert not world.draining
        assert world.state.candidate == 2
        world.settle()
        assert world.ready_generations() == [2, 2]

    def test_worker_forked_before_loss_of_its_template_boots(self):
        world = running(2)
        world.exits(world.state.in_slot(1)[0].id, KILLED)
        (spawning,) = world.in_stage(Stage.SPAWNING)
        world.template_exits(1, KILLED)
        world.boots(spawning)
        world.ready(spawning)
        assert world.ready_generations() == [1, 1]

    def test_first_worker_after_loss_of_all_makes_candidate_current(self):
        world = running(3, soak=30.0)
        world.lose_all()
        self.serve(world, 2)
        assert (world.state.current, world.state.candidate) == (2, None)
        assert "reloaded: generation 2 serves" in texts(world)[-1]
        assert {worker.slot for worker in world.state.workers.values()} == {0, 1, 2}

    def test_worker_killed_after_loss_of_all_is_replaced_from_memory(self):
        world = running(1, soak=30.0)
        world.lose_all()
        self.serve(world, 2)
        world.exits(world.state.ready()[0].id, KILLED)
        world.settle()
        assert world.ready_generations() == [2]
        assert len(of_kind(world.did, SpawnTemplate)) == 2

    def test_candidate_soaks_while_worker_of_lost_template_boots(self):
        world = running(2, soak=30.0)
        world.exits(world.state.in_slot(1)[0].id, KILLED)
        booting = world.state.in_slot(1)[0].id
        world.boots(booting)
        world.template_exits(1, KILLED)
        world.exits(world.state.in_slot(0)[0].id, KILLED)
        self.serve(world, 2)
        assert (world.state.current, world.state.candidate) == (1, 2)
        world.exits(booting, KILLED)
        assert (world.state.current, world.state.candidate) == (2, None)

    def test_loss_of_all_again_and_again_is_retried_with_growing_delays(self):
        world = running(2, soak=30.0)
        gaps = []
        for _ in range(4):
            world.lose_all()
            lost = world.now
            while world.state.candidate is None:
                world.passes(0.1)
            gaps.append(world.now - lost)
            candidate = world.state.candidate
            self.serve(world, candidate)
            assert (world.state.current, world.state.candidate) == (candidate, None)
        assert gaps == sorted(set(gaps))

    def serve(self, world, generation):
        """Load a generation, and boot one of its workers."""
        world.template_ready(generation)
        worker = next(each for each in world.state.workers.values() if each.generation == generation)
        world.boots(worker.id)
        world.ready(worker.id)

    def test_lost_template_that_does_not_load_is_retried_with_growing_delays(self):
        world = running(2)
        world.template_exits(1, KILLED)
        attempts = []
        for _ in range(5):
            attempts.append(world.now)
            world.template_fails(world.state.candidate)
            assert world.ready_generations() == [1, 1]
            while world.state.candidate is None:
                world.passes(0.1)
        gaps = [later - earlier for earlier, later in itertools.pairwise(attempts)]
        assert gaps == sorted(gaps)
        assert gaps[-1] > gaps[0]
        world.settle()
        assert world.ready_generations() == [7, 7]
