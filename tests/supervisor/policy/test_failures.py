"""Failures at start, of running workers and at boot; one test for each rule."""

from __future__ import annotations

import itertools

from corn.errors import ExitCode
from corn.supervisor.policy import actions, events
from corn.supervisor.policy.actions import AbortWorker, Announce, KillWorker, SpawnTemplate, SpawnWorker
from corn.supervisor.policy.state import Phase, ProcessExit, Stage
from tests.support.policy_world import CLEAN, KILLED, SEGV, World, of_kind, running, settings_with, texts


def fail_all(world):
    """Let each worker that is being started fail."""
    for worker in world.in_stage(Stage.SPAWNING):
        world.boots(worker)
        world.fails(worker)


class TestStart:
    def test_start_spawns_template_then_workers_then_announces(self):
        world = World(settings_with(workers=3))
        world.start()
        assert of_kind(world.did, SpawnTemplate) == [SpawnTemplate(1)]
        assert not of_kind(world.did, SpawnWorker)
        world.template_ready(1)
        assert [each.slot for each in of_kind(world.did, SpawnWorker)] == [0, 1, 2]
        world.settle()
        assert of_kind(world.did, Announce) == [Announce("app")]
        assert world.state.phase is Phase.RUNNING

    def test_lost_template_during_start_with_ready_worker_is_reloaded(self):
        world = World(settings_with(workers=2))
        world.start()
        world.template_ready(1)
        world.boots(1)
        world.ready(1)
        world.scale(1)
        world.template_exits(1, KILLED)
        world.passes(0)
        assert world.state.phase is Phase.RELOADING
        assert of_kind(world.did, SpawnTemplate) == [SpawnTemplate(1), SpawnTemplate(2)]

    def test_refused_fork_at_start_exits_with_its_code(self):
        world = World()
        world.start()
        world.template_ready(1)
        del world.workers[1]
        world.happens(events.WorkerNotForked(world.now, 1, "cannot setuid", ExitCode.USAGE))
        world.settle()
        assert world.exit_code == ExitCode.USAGE

    def test_missing_fork_at_start_exits_with_3(self):
        world = World()
        world.start()
        world.template_ready(1)
        world.workers.clear()
        world.passes(6)
        world.settle()
        assert world.exit_code == ExitCode.APPLICATION
        assert any(text.endswith("was not forked in time") for text in texts(world))

    def test_worker_killed_before_ready_is_named_in_log(self):
        world = World()
        world.start()
        world.template_ready(1)
        world.boots(1)
        world.exits(1, KILLED)
        named = "worker 0 (generation 1, pid 1001) failed: killed by SIGKILL before it was ready"
        assert texts(world)[-1] == f"could not start: {named}"
        world = running(1)
        world.hup()
        world.template_ready(2)
        (worker,) = world.in_stage(Stage.SPAWNING)
        world.boots(worker)
        world.exits(worker, KILLED)
        named = f"worker 0 (generation 2, pid {world.pids}) failed: killed by SIGKILL before it was ready"
        assert texts(world)[-1].endswith(f"generation 2 is withdrawn: {named}")

    def test_template_lost_during_start_without_worker_exits_with_3(self):
        world = World()
        world.start()
        world.template_ready(1)
        world.boots(1)
        world.retires(1, "SIGTERM")
        world.template_exits(1, KILLED)
        assert world.state.phase is Phase.STARTING
        world.exits(1, CLEAN)
        assert texts(world)[-1] == "could not start: the template of generation 1 was lost, and no worker is left"
        assert world.exit_code == 3

    def test_template_lost_during_start_with_booting_worker_waits_for_it(self):
        world = World()
        world.start()
        world.template_ready(1)
        world.boots(1)
        world.template_exits(1, KILLED)
        world.ready(1)
        world.passes(0)
        assert world.state.phase is Phase.RELOADING
        assert world.exit_code is None

    def test_template_load_failure_exits_start_with_its_code(self):
        world = World()
        world.start()
        world.happens(events.TemplateFailed(world.now, 1, "no module named 'x'", "", 2))
        world.template_exits(1, ProcessExit(code=2))
        assert world.exit_code == 2
        assert texts(world) == ["could not start: no module named 'x'"]

    def test_template_exit_0_before_ready_exits_start_with_3(self):
        world = World()
        world.start()
        world.template_exits(1, ProcessExit(code=0))
        assert world.exit_code == 3
        assert "exited with code 0 while loading" in texts(world)[0]

    def test_worker_failure_before_any_ready_exits_start_once(self):
        world = World(settings_with(workers=4))
        world.start()
        world.template_ready(1)
        first, second, *_ = world.workers
        world.boots(first)
        world.boots(second)
        world.fails(first)
        world.fails(second)
        world.settle()
        assert world.exit_code == 3
        assert sum("lifespan broke" in text for text in texts(world)) == 1

    def test_worker_failure_beside_ready_worker_backs_off(self):
        world = World(settings_with(workers=2))
        world.start()
        world.template_ready(1)
        first, second = world.workers
        world.boots(first)
        world.ready(first)
        world.boots(second)
        world.fails(second)
        assert world.exit_code is None
        assert world.state.phase is Phase.RUNNING
        assert list(world.workers) == [first]
        assert (world.state.last_error, world.state.last_detail) == ("lifespan broke", "Traceback")
        world.passes(0.5)
        assert len(world.workers) == 2

    def test_failed_canary_is_kept_as_last_error(self):
        world = running(1)
        world.hup()
        world.template_ready(2)
        (canary,) = world.in_stage(Stage.SPAWNING)
        world.boots(canary)
        world.fails(canary)
        assert (world.state.last_error, world.state.last_detail) == ("lifespan broke", "Traceback")
        assert texts(world)[-2].endswith("generation 2 is withdrawn: lifespan broke")

    def test_failed_start_is_not_taken_for_refused_reload(self):
        world = World(settings_with(workers=1))
        world.start()
        for _ in range(2):
            world.happens(events.TemplateFailed(world.now, 1, "it broke", "Traceback"))
        assert world.state.phase is Phase.STOPPING
        assert texts(world) == ["could not start: it broke"]
        world.settle()
        assert world.exit_code == 3

    def test_sigterm_after_failed_start_changes_nothing(self):
        world = World(settings_with(workers=1))
        world.start()
        world.happens(events.TemplateFailed(world.now, 1, "it broke", "Traceback"))
        assert world.happens(events.StopRequested(world.now, "SIGTERM")) == []

    def test_workers_killed_during_start_are_respawned(self):
        world = World(settings_with(workers=2))
        world.start()
        world.template_ready(1)
        first, second = world.workers
        world.boots(first)
        world.boots(second)
        world.ready(first)
        world.exits(first, KILLED)
        world.exits(second, KILLED)
        assert world.exit_code is None
        world.passes(1)
        world.settle()
        assert world.ready_generations() == [1, 1]

    def test_load_timeout_at_start_exits_3(self):
        world = World(settings_with(timeout_boot=10))
        world.start()
        world.passes(11)
        world.template_exits(1, KILLED)
        assert world.exit_code == 3
        assert "--timeout-boot" in texts(world)[0]

    def test_preload_step_down_restarts_load_timeout(self):
        world = World(settings_with(timeout_boot=10))
        world.start()
        world.passes(8)
        world.happens(events.TemplateSteppedDown(world.now, 1, "a thread"))
        world.passes(8)
        assert world.exit_code is None
        world.settle()
        assert world.state.phase is Phase.RUNNING


class TestCrash:
    def test_crashed_worker_is_respawned_immediately(self):
        world = running(2)
        victim = world.state.ready()[0]
        world.exits(victim.id, SEGV)
        spawned = of_kind(world.did, SpawnWorker)[-1]
        assert (spawned.slot, spawned.generation) == (victim.slot, 1)
        assert "crashed: killed by SIGSEGV; replaced at once" in texts(world)[-1]

    def test_repeated_crashes_back_off_per_slot(self):
        world = running(2)
        waits = []
        for _ in range(6):
            (victim,) = [worker for worker in world.state.ready() if worker.slot == 0]
            at = world.now
            world.exits(victim.id, ProcessExit(code=1))
            while not world.state.in_slot(0):
                world.passes(0.05)
            waits.append(world.now - at)
            world.settle()
        assert waits[0] == 0
        assert all(later > earlier for earlier, later in itertools.pairwise(waits[1:]))
        assert world.state.restarts.keys() == {0}

    def test_healthy_minute_resets_backoff(self):
        world = running(1)
        for _ in range(3):
            world.exits(world.state.ready()[0].id, ProcessExit(code=1))
            world.settle()
            world.passes(5)
            world.settle()
        world.passes(61)
        world.exits(world.state.ready()[0].id, ProcessExit(code=1))
        assert world.state.in_slot(0)

    def test_workers_killed_from_outside_respawn_immediately_ten_times(self):
        world = running(1)
        for _ in range(10):
            world.exits(world.state.ready()[0].id, KILLED)
            assert world.state.in_slot(0), "replaced at once"
            world.settle()
        world.exits(world.state.ready()[0].id, KILLED)
        assert world.state.in_slot(0), "the first beyond that counts as a first crash"
        world.settle()
        world.exits(world.state.ready()[0].id, KILLED)
        assert not world.state.in_slot(0)

    def test_all_workers_killed_are_respawned(self):
        world = running(4)
        for worker in world.state.ready():
            world.exits(worker.id, KILLED)
        world.settle()
        assert world.ready_generations() == [1] * 4
        assert world.exit_code is None

    def test_unrequested_exit_0_is_crash(self):
        world = running(1)
        world.exits(world.state.ready()[0].id, ProcessExit(code=0))
        assert "crashed: exited with code 0" in texts(world)[-1]

    def test_boot_failures_beside_ready_worker_keep_master_running(self):
        world = running(2)
        world.exits(world.state.ready()[1].id, SEGV)
        for _ in range(30):
            fail_all(world)
            world.passes(31)
        assert world.exit_code is None
        assert len(world.state.ready()) == 1

    def test_master_gives_up_after_minute_and_ten_failed_attempts(self):
        world = running(2)
        for worker in world.state.ready():
            world.exits(worker.id, SEGV)
        for _ in range(200):
            fail_all(world)
            world.passes(1)
            if world.state.phase is Phase.STOPPING:
                break
        world.settle()
        assert world.exit_code == 5
        assert "gave up" in "".join(texts(world))

    def test_master_does_not_give_up_after_ten_failures_within_minute(self):
        world = running(6)
        for worker in world.state.ready():
            world.exits(worker.id, SEGV)
        for _ in range(2):
            fail_all(world)
            world.passes(3)
        assert world.state.failures >= 10
        assert world.state.phase is Phase.RUNNING

    def test_master_does_not_give_up_after_minute_of_one_slow_boot(self):
        world = running(1, timeout_boot=300.0)
        world.exits(*world.workers, SEGV)
        world.boots(*world.workers)
        world.passes(100)
        assert world.state.failures == 1
        assert world.state.phase is Phase.RUNNING
        world.settle()
        assert world.ready_generations() == [1]


class TestBootLimits:
    def test_failed_worker_that_does_not_exit_is_killed(self):
        world = running(1)
        world.exits(*world.workers, SEGV)
        (worker,) = world.in_stage(Stage.SPAWNING)
        world.boots(worker)
        world.happens(events.WorkerFailed(world.now, worker, "lifespan broke", "Traceback"))
        assert KillWorker(worker) not in world.did
        world.passes(2.1)
        assert KillWorker(worker) in world.did

    def test_worker_stuck_in_boot_is_aborted_then_killed(self):
        world = running(2, timeout_boot=10)
        world.exits(world.state.ready()[0].id, SEGV)
        (worker,) = world.in_stage(Stage.SPAWNING)
        world.boots(worker)
        world.passes(10)
        assert AbortWorker(worker) in world.did
        assert KillWorker(worker) not in world.did
        world.passes(2)
        assert KillWorker(worker) in world.did

    def test_missing_fork_is_retried_then_template_replaced(self):
        world = running(2)
        world.exits(world.state.ready()[0].id, SEGV)
        world.passes(5)
        assert world.state.templates.keys() == {1}
        world.passes(6)
        assert actions.KillTemplate(1) in world.did
        world.template_exits(1, KILLED)
        assert SpawnTemplate(2) in world.did
        world.workers = {key: value for key, value in world.workers.items() if key in world.state.workers}
        world.settle()
        assert world.ready_generations() == [2, 2]

    def test_missing_fork_of_lost_template_is_requested_of_next_one(self):
        world = running(2)
        world.exits(world.state.ready()[0].id, SEGV)
        (missing,) = world.in_stage(Stage.SPAWNING)
        world.template_exits(1, KILLED)
        del world.workers[missing]
        world.passes(6)
        assert missing not in world.state.workers
        world.settle()
        assert world.ready_generations() == [2, 2]

    def test_lost_template_retries_leave_at_most_one_extra_worker(self):
        world = running(2, soak=1)
        stuck = world.state.ready()[0]
        world.hup()
        world.settle()
        world.happens(events.HeartbeatsSeen(world.now, {stuck.id: 99.0}))
        world.template_exits(1, KILLED)
        for _ in range(4):
            world.template_exits(min(world.templates), KILLED)
            while not world.templates:
                world.passes(0.5)
            world.settle()
        assert len(world.state.in_slot(stuck.slot)) == 2, "the newest that was withdrawn, and the one that is tried"

    def test_unkillable_worker_is_abandoned_and_slot_refilled(self):
        world = running(1)
        world.retires(world.state.ready()[0].id)
        old = world.state.ready()[0].id
        (new,) = world.in_stage(Stage.SPAWNING)
        world.boots(new)
        world.ready(new)
        world.passes(37)
        assert KillWorker(old) in world.did
        world.passes(5)
        assert old not in world.state.workers
        assert "did not exit on SIGKILL" in texts(world)[-1]

    def test_failed_fork_is_retried_later(self):
        world = running(1)
        world.exits(world.state.ready()[0].id, SEGV)
        (worker,) = world.workers
        del world.workers[worker]
        world.happens(events.WorkerNotForked(world.now, worker, "Resource temporarily unavailable"))
        assert world.state.in_slot(0) == []
        world.passes(1)
        world.settle()
        assert world.ready_generations() == [1]
