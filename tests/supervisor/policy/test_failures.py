"""Failures of a start, of a worker and of its boot; one test a rule."""

from __future__ import annotations

import itertools

from corn.supervisor.policy import actions, events
from corn.supervisor.policy.actions import AbortWorker, Announce, KillWorker, SpawnTemplate, SpawnWorker
from corn.supervisor.policy.state import Phase, ProcessExit, Stage
from tests.support.policy_world import KILLED, SEGV, World, of_kind, running, settings_with, texts


class TestStart:
    def test_template_first_then_all_workers_at_once_then_the_announcement(self):
        world = World(settings_with(workers=3))
        world.start()
        assert of_kind(world.did, SpawnTemplate) == [SpawnTemplate(1)]
        assert not of_kind(world.did, SpawnWorker)
        world.template_ready(1)
        assert [each.slot for each in of_kind(world.did, SpawnWorker)] == [0, 1, 2]
        world.settle()
        assert of_kind(world.did, Announce) == [Announce("app")]
        assert world.state.phase is Phase.RUNNING

    def test_template_lost_during_start_after_a_worker_was_ready_is_loaded_again(self):
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

    def test_a_template_that_cannot_load_ends_the_start_with_its_exit_code(self):
        world = World()
        world.start()
        world.happens(events.TemplateFailed(world.now, 1, "no module named 'x'", "", 2))
        world.template_exits(1, ProcessExit(code=2))
        assert world.exit_code == 2
        assert texts(world) == ["could not start: no module named 'x'"]

    def test_a_template_that_ends_without_a_word_ends_the_start_even_with_code_0(self):
        world = World()
        world.start()
        world.template_exits(1, ProcessExit(code=0))
        assert world.exit_code == 3
        assert "exited with code 0 while loading" in texts(world)[0]

    def test_a_worker_that_fails_before_any_is_ready_ends_the_start_and_is_told_once(self):
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

    def test_a_worker_that_fails_beside_a_ready_one_is_left_to_its_backoff(self):
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
        world.passes(0.5)
        assert len(world.workers) == 2

    def test_workers_that_were_ready_once_and_are_killed_before_all_are_come_back(self):
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

    def test_a_load_that_takes_too_long_ends_the_start(self):
        world = World(settings_with(timeout_boot=10))
        world.start()
        world.passes(11)
        world.template_exits(1, KILLED)
        assert world.exit_code == 3
        assert "--timeout-boot" in texts(world)[0]

    def test_stepping_down_gives_the_template_its_time_anew(self):
        world = World(settings_with(timeout_boot=10))
        world.start()
        world.passes(8)
        world.happens(events.TemplateSteppedDown(world.now, 1, "a thread"))
        world.passes(8)
        assert world.exit_code is None
        world.settle()
        assert world.state.phase is Phase.RUNNING


class TestCrash:
    def test_a_crashed_worker_is_replaced_at_once_from_the_template(self):
        world = running(2)
        victim = world.state.ready()[0]
        world.exits(victim.id, SEGV)
        spawned = of_kind(world.did, SpawnWorker)[-1]
        assert (spawned.slot, spawned.generation) == (victim.slot, 1)
        assert "crashed: killed by SIGSEGV; replaced at once" in texts(world)[-1]

    def test_crashes_in_a_row_wait_longer_each_time_and_leave_other_slots_alone(self):
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

    def test_a_minute_of_health_forgets_the_crashes(self):
        world = running(1)
        for _ in range(3):
            world.exits(world.state.ready()[0].id, ProcessExit(code=1))
            world.settle()
            world.passes(5)
            world.settle()
        world.passes(61)
        world.exits(world.state.ready()[0].id, ProcessExit(code=1))
        assert world.state.in_slot(0)

    def test_workers_killed_from_outside_come_back_at_once_ten_times(self):
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

    def test_all_workers_killed_at_once_come_back(self):
        world = running(4)
        for worker in world.state.ready():
            world.exits(worker.id, KILLED)
        world.settle()
        assert world.ready_generations() == [1] * 4
        assert world.exit_code is None

    def test_an_exit_with_code_0_that_nobody_asked_for_is_a_crash(self):
        world = running(1)
        world.exits(world.state.ready()[0].id, ProcessExit(code=0))
        assert "crashed: exited with code 0" in texts(world)[-1]

    def test_boot_failures_of_a_good_generation_never_end_the_master_while_one_is_ready(self):
        world = running(2)
        world.exits(world.state.ready()[1].id, SEGV)
        for _ in range(30):
            for worker in world.in_stage(Stage.SPAWNING):
                world.boots(worker)
                world.fails(worker)
            world.passes(31)
        assert world.exit_code is None
        assert len(world.state.ready()) == 1

    def test_master_gives_up_when_nothing_was_ready_for_a_minute_and_ten_attempts_failed(self):
        world = running(2)
        for worker in world.state.ready():
            world.exits(worker.id, SEGV)
        for _ in range(200):
            for worker in world.in_stage(Stage.SPAWNING):
                world.boots(worker)
                world.fails(worker)
            world.passes(1)
            if world.state.phase is Phase.STOPPING:
                break
        world.settle()
        assert world.exit_code == 5
        assert "gave up" in "".join(texts(world))


class TestBootLimits:
    def test_a_worker_stuck_in_boot_is_aborted_for_its_stacks_and_then_killed(self):
        world = running(2, timeout_boot=10)
        world.exits(world.state.ready()[0].id, SEGV)
        (worker,) = world.in_stage(Stage.SPAWNING)
        world.boots(worker)
        world.passes(10)
        assert AbortWorker(worker) in world.did
        assert KillWorker(worker) not in world.did
        world.passes(2)
        assert KillWorker(worker) in world.did

    def test_a_fork_that_never_comes_is_tried_again_and_then_the_template_is_replaced_from_disk(self):
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

    def test_attempts_to_replace_a_lost_template_leave_no_more_than_one_worker_behind(self):
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

    def test_a_process_that_cannot_be_killed_is_given_up_and_its_slot_filled(self):
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
        assert "cannot be killed" in texts(world)[-1]

    def test_a_fork_that_fails_is_tried_again_later(self):
        world = running(1)
        world.exits(world.state.ready()[0].id, SEGV)
        (worker,) = world.workers
        del world.workers[worker]
        world.happens(events.WorkerNotForked(world.now, worker, "Resource temporarily unavailable"))
        assert world.state.in_slot(0) == []
        world.passes(1)
        world.settle()
        assert world.ready_generations() == [1]
