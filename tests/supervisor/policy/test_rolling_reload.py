"""Rolling reloads and their soak; one test for each rule."""

from __future__ import annotations

import pytest

from corn.supervisor.policy import events
from corn.supervisor.policy.actions import DrainWorker, KillTemplate, KillWorker, SpawnTemplate, SpawnWorker
from corn.supervisor.policy.state import Phase, ProcessExit, Stage
from tests.support.policy_world import KILLED, SEGV, of_kind, running, settings_with, texts


class TestReload:
    def test_reload_starts_canary_then_replaces_slots_in_order(self):
        world = running(3)
        world.hup()
        world.template_ready(2)
        assert [(worker.slot, worker.stage) for worker in world.state.workers.values() if worker.generation == 2] == [
            (0, Stage.SPAWNING)
        ]
        for slot in range(3):
            assert len(world.state.ready()) == 3, "never below capacity"
            (new,) = world.in_stage(Stage.SPAWNING)
            assert world.state.workers[new].slot == slot
            world.boots(new)
            world.ready(new)
        assert world.state.phase is Phase.RELOADING, "the last old worker may still accept"
        (last,) = [worker.id for worker in world.state.workers.values() if worker.slot == 2 and worker.accepts][:1]
        world.happens(events.WorkerDraining(world.now, last))
        assert world.state.phase is Phase.RELOADING, "and so may the others"
        world.settle()
        assert world.state.phase is Phase.RUNNING
        assert world.ready_generations() == [2, 2, 2]
        assert sum(text.endswith("exited: reload") for text in texts(world)) == 3
        assert world.templates == {2}

    def test_reload_commits_without_drain_notice_after_timeout(self):
        world = running(1)
        world.hup()
        world.template_ready(2)
        (new,) = world.in_stage(Stage.SPAWNING)
        world.boots(new)
        world.ready(new)
        assert world.state.phase is Phase.RELOADING
        world.passes(1.1)
        assert world.state.phase is Phase.RUNNING

    def test_failed_load_refuses_reload(self):
        world = running(2)
        before = set(world.workers)
        world.hup()
        world.template_fails(2, "SyntaxError: oh")
        assert set(world.workers) == before
        assert not world.draining
        assert world.state.phase is Phase.RUNNING
        assert world.said[-1].detail == "Traceback"
        world.hup()
        world.settle()
        assert world.ready_generations() == [3, 3]

    def test_canary_failure_rolls_back(self):
        world = running(2)
        world.hup()
        world.template_ready(2)
        (canary,) = world.in_stage(Stage.SPAWNING)
        world.boots(canary)
        world.fails(canary)
        world.settle()
        assert world.ready_generations() == [1, 1]
        assert world.templates == {1}

    def test_crash_during_reload_rolls_back_from_memory(self):
        world = running(3)
        world.hup()
        world.template_ready(2)
        for _ in range(2):
            (new,) = world.in_stage(Stage.SPAWNING)
            world.boots(new)
            world.ready(new)
        world.exits(new, SEGV)
        assert world.state.phase is Phase.RUNNING
        world.settle()
        assert world.ready_generations() == [1, 1, 1]
        assert [each.generation for each in of_kind(world.did, SpawnTemplate)] == [1, 2]

    def test_rollback_keeps_new_worker_until_old_code_serves(self):
        world = running(2)
        world.hup()
        world.template_ready(2)
        (canary,) = world.in_stage(Stage.SPAWNING)
        world.boots(canary)
        world.ready(canary)
        (second,) = world.in_stage(Stage.SPAWNING)
        world.boots(second)
        world.fails(second)
        assert world.state.workers[canary].is_ready
        assert len(world.state.ready()) == 2
        world.settle()
        assert world.ready_generations() == [1, 1]

    def test_load_timeout_refuses_reload(self):
        world = running(1, timeout_boot=10)
        world.hup()
        world.passes(10)
        assert world.state.phase is Phase.RUNNING
        world.template_exits(2, KILLED)
        assert world.ready_generations() == [1]

    def test_reload_requests_during_reload_are_coalesced(self):
        world = running(1)
        for _ in range(1000):
            world.hup()
        world.settle()
        assert [each.generation for each in of_kind(world.did, SpawnTemplate)] == [1, 2, 3]
        assert world.ready_generations() == [3]

    def test_reload_during_reload_uses_latest_settings(self):
        world = running(1)
        world.hup(settings_with(workers=2))
        world.hup(settings_with(workers=3))
        world.settle()
        assert world.ready_generations() == [3, 3, 3]

    def test_worker_count_changes_with_committed_reload_only(self):
        world = running(2)
        world.hup(settings_with(workers=4))
        world.template_fails(2)
        world.settle()
        assert world.ready_generations() == [1, 1]
        world.hup(settings_with(workers=1))
        world.settle()
        assert world.ready_generations() == [3]

    def test_stop_during_reload_kills_canary(self):
        world = running(2)
        world.hup()
        world.template_ready(2)
        (canary,) = world.in_stage(Stage.SPAWNING)
        world.signal("SIGTERM")
        assert KillWorker(canary) in world.did
        world.settle()
        assert world.exit_code == 0

    def test_crash_of_old_worker_during_reload_respawns_old_code(self):
        world = running(3)
        world.hup()
        world.template_ready(2)
        last = max(world.state.ready(), key=lambda worker: worker.slot)
        world.exits(last.id, SEGV)
        assert [worker.generation for worker in world.state.in_slot(2)] == [1]
        world.settle()
        assert world.ready_generations() == [2, 2, 2]

    def test_reload_resets_backoff_of_old_code(self):
        world = running(1)
        while world.workers:
            world.exits(world.state.ready()[0].id, ProcessExit(code=1))
            world.settle()
        world.hup()
        world.settle()
        assert world.ready_generations() == [2]

    def test_new_worker_boots_within_timeout_of_its_settings(self):
        world = running(1, timeout_boot=60.0)
        world.hup(settings_with(workers=1, timeout_boot=300.0))
        world.template_ready(2)
        (new,) = world.in_stage(Stage.SPAWNING)
        world.boots(new)
        world.passes(200)
        world.ready(new)
        world.settle()
        assert world.ready_generations() == [2]

    @pytest.mark.parametrize(("exited", "killed"), [(True, [KillTemplate(1)]), (False, [])])
    def test_template_that_does_not_exit_is_killed_unless_its_workers_drain(self, exited, killed):
        world = running(1)
        world.hup()
        world.template_ready(2)
        old, new = world.workers
        world.boots(new)
        world.ready(new)
        if exited:
            world.exits(old)
        else:
            world.happens(events.WorkerDraining(world.now, old))
        assert world.stopping_templates == {1}
        world.passes(1.9)
        assert not of_kind(world.did, KillTemplate)
        world.passes(0.2)
        assert of_kind(world.did, KillTemplate) == killed

    def test_committed_reload_applies_its_settings(self):
        world = running(1)
        world.hup(settings_with(workers=1, timeout_graceful_shutdown=7.0))
        world.settle()
        assert [each.grace for each in of_kind(world.did, DrainWorker)] == [30.0]
        world.signal("SIGTERM")
        assert [each.grace for each in of_kind(world.did, DrainWorker)] == [30.0, 7.0]

    def test_committed_reload_forgets_crashes_of_old_code(self):
        world = running(1)
        for _ in range(3):
            world.exits(world.state.ready()[0].id, SEGV)
            world.passes(10)
            world.settle()
        world.hup()
        world.settle()
        world.exits(world.state.ready()[0].id, SEGV)
        assert texts(world)[-1].endswith("; replaced at once")

    def test_refused_reload_is_kept_as_last_error(self):
        world = running(1)
        world.hup()
        world.template_fails(2, "no such module")
        assert (world.state.last_error, world.state.last_detail) == ("no such module", "Traceback")
        world.hup()
        world.settle()
        assert (world.state.last_error, world.state.last_detail) == ("", "")


class TestSoak:
    def test_crash_of_old_worker_does_not_shorten_soak(self):
        world = running(1)
        world.hup(settings_with(workers=1, soak=2.0))
        old, canary = self.begin(world)
        world.exits(old, SEGV)
        world.passes(1.9)
        assert world.state.phase is Phase.RELOADING
        world.passes(0.2)
        assert (world.state.phase, world.state.current) == (Phase.RUNNING, 2)
        assert list(world.workers) == [canary]

    def begin(self, world):
        """Start the canary; returns the old worker and it."""
        world.template_ready(2)
        old, canary = world.workers
        world.boots(canary)
        world.ready(canary)
        return old, canary

    def test_soak_keeps_old_workers_until_it_ends(self):
        world = running(2, soak=3.0)
        world.hup()
        world.template_ready(2)
        (canary,) = world.in_stage(Stage.SPAWNING)
        world.boots(canary)
        world.ready(canary)
        world.passes(2.9)
        assert not world.draining
        assert len(world.state.ready()) == 3
        world.passes(0.2)
        assert len(world.draining) == 1
        world.settle()
        assert world.ready_generations() == [2, 2]

    def test_crash_during_soak_withdraws_canary(self):
        world = running(2, soak=3.0)
        world.hup()
        world.template_ready(2)
        (canary,) = world.in_stage(Stage.SPAWNING)
        world.boots(canary)
        world.ready(canary)
        world.passes(1)
        world.exits(canary, ProcessExit(code=1))
        assert not world.draining
        world.settle()
        assert world.ready_generations() == [1, 1]
        assert world.templates == {1}

    def test_startup_gate_applies_to_candidate_workers_only(self):
        world = running(2)
        world.hup()
        world.settle()
        world.exits(world.state.ready()[0].id, SEGV)
        assert [each.gated for each in of_kind(world.did, SpawnWorker)] == [False, False, True, True, False]
