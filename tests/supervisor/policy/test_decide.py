"""One test a rule; each is named as the rule."""

from __future__ import annotations

import itertools

import pytest

from corn.supervisor.policy import actions, events
from corn.supervisor.policy.actions import AbortWorker, Announce, DrainWorker, KillWorker, SpawnTemplate, SpawnWorker
from corn.supervisor.policy.decide import _RULES
from corn.supervisor.policy.state import Phase, ProcessExit, Stage
from tests.support.policy_world import KILLED, World, running, settings_with

SEGV = ProcessExit(signal="SIGSEGV")


def of_kind(found, kind):
    return [action for action in found if isinstance(action, kind)]


def texts(world):
    return [each.text for each in world.said]


def test_every_event_has_a_rule():
    kinds = {kind for kind in vars(events).values() if isinstance(kind, type) and issubclass(kind, events.Event)}
    assert set(_RULES) == kinds - {events.Event}


def test_an_event_about_processes_that_are_gone_changes_nothing():
    world = running(1)
    before = world.state
    for event in (
        events.WorkerForked(world.now, 99, 1),
        events.WorkerNotForked(world.now, 99, "EAGAIN"),
        events.WorkerBooting(world.now, 99),
        events.WorkerReady(world.now, 99),
        events.WorkerFailed(world.now, 99, "", ""),
        events.WorkerRetiring(world.now, 99, ""),
        events.WorkerDraining(world.now, 99),
        events.WorkerExited(world.now, 99, SEGV),
        events.TemplateReady(world.now, 99, "app"),
        events.TemplateSteppedDown(world.now, 99, ""),
        events.TemplateFailed(world.now, 99, "", ""),
        events.TemplateExited(world.now, 99, SEGV),
    ):
        assert world.happens(event) == []
    assert world.state == before


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

    def test_it_gives_up_when_nothing_was_ready_for_a_minute_and_ten_attempts_failed(self):
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


class TestReload:
    def test_the_first_new_worker_is_a_canary_and_then_slots_follow_one_by_one(self):
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
        assert world.templates == {2}

    def test_an_old_worker_that_does_not_say_that_it_drains_is_not_waited_for_long(self):
        world = running(1)
        world.hup()
        world.template_ready(2)
        (new,) = world.in_stage(Stage.SPAWNING)
        world.boots(new)
        world.ready(new)
        assert world.state.phase is Phase.RELOADING
        world.passes(1.1)
        assert world.state.phase is Phase.RUNNING

    def test_code_that_does_not_load_is_refused_and_nothing_else_happens(self):
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

    def test_a_canary_that_fails_rolls_back(self):
        world = running(2)
        world.hup()
        world.template_ready(2)
        (canary,) = world.in_stage(Stage.SPAWNING)
        world.boots(canary)
        world.fails(canary)
        world.settle()
        assert world.ready_generations() == [1, 1]
        assert world.templates == {1}

    def test_a_crash_in_the_middle_of_the_roll_rolls_all_back_from_memory(self):
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

    def test_rolling_back_keeps_a_new_worker_until_the_old_code_serves_in_its_place(self):
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

    def test_a_load_that_hangs_is_refused_in_time(self):
        world = running(1, timeout_boot=10)
        world.hup()
        world.passes(10)
        assert world.state.phase is Phase.RUNNING
        world.template_exits(2, KILLED)
        assert world.ready_generations() == [1]

    def test_one_more_reload_is_remembered_and_not_many(self):
        world = running(1)
        for _ in range(1000):
            world.hup()
        world.settle()
        assert [each.generation for each in of_kind(world.did, SpawnTemplate)] == [1, 2, 3]
        assert world.ready_generations() == [3]

    def test_the_latest_settings_win(self):
        world = running(1)
        world.hup(settings_with(workers=2))
        world.hup(settings_with(workers=3))
        world.settle()
        assert world.ready_generations() == [3, 3, 3]

    def test_the_number_of_workers_changes_with_the_commit_and_not_when_refused(self):
        world = running(2)
        world.hup(settings_with(workers=4))
        world.template_fails(2)
        world.settle()
        assert world.ready_generations() == [1, 1]
        world.hup(settings_with(workers=1))
        world.settle()
        assert world.ready_generations() == [3]

    def test_stop_overtakes_a_reload(self):
        world = running(2)
        world.hup()
        world.template_ready(2)
        (canary,) = world.in_stage(Stage.SPAWNING)
        world.signal("SIGTERM")
        assert KillWorker(canary) in world.did
        world.settle()
        assert world.exit_code == 0

    def test_an_old_worker_that_crashes_during_a_reload_is_replaced_by_the_old_code(self):
        world = running(3)
        world.hup()
        world.template_ready(2)
        last = max(world.state.ready(), key=lambda worker: worker.slot)
        world.exits(last.id, SEGV)
        assert [worker.generation for worker in world.state.in_slot(2)] == [1]
        world.settle()
        assert world.ready_generations() == [2, 2, 2]

    def test_backoff_of_the_old_code_does_not_hold_up_the_new(self):
        world = running(1)
        while world.workers:
            world.exits(world.state.ready()[0].id, ProcessExit(code=1))
            world.settle()
        world.hup()
        world.settle()
        assert world.ready_generations() == [2]


class TestSoak:
    def test_the_old_workers_all_stay_until_the_canary_has_soaked(self):
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

    def test_a_crash_while_it_soaks_withdraws_it(self):
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

    def test_only_workers_of_a_candidate_are_gated(self):
        world = running(2)
        world.hup()
        world.settle()
        world.exits(world.state.ready()[0].id, SEGV)
        assert [each.gated for each in of_kind(world.did, SpawnWorker)] == [False, False, True, True, False]


class TestRollback:
    def reloaded(self, **settings):
        world = running(2, rollback_window=60.0, **settings)
        world.hup()
        world.settle()
        assert world.ready_generations() == [2, 2]
        return world

    def test_the_previous_template_is_kept_for_its_window_and_then_stopped(self):
        world = self.reloaded()
        assert world.templates == {1, 2}
        world.passes(61)
        world.settle()
        assert world.templates == {2}

    def test_a_crash_soon_after_the_commit_goes_back_without_reading_the_disk(self):
        world = self.reloaded()
        world.passes(1)
        world.exits(world.state.ready()[0].id, SEGV)
        assert "rolled back: generation 1 serves again" in texts(world)[-1]
        world.settle()
        assert world.ready_generations() == [1, 1]
        assert world.templates == {1}
        assert len(of_kind(world.did, SpawnTemplate)) == 2

    def test_a_crash_later_does_not(self):
        world = self.reloaded()
        world.passes(6)
        world.exits(world.state.ready()[0].id, SEGV)
        world.settle()
        assert world.ready_generations() == [2, 2]

    def test_neither_does_a_worker_that_somebody_killed(self):
        world = self.reloaded()
        world.exits(world.state.ready()[0].id, KILLED)
        world.settle()
        assert world.ready_generations() == [2, 2]

    def test_the_settings_of_the_previous_generation_come_back_with_it(self):
        world = running(2, rollback_window=60.0)
        world.hup(settings_with(workers=3, rollback_window=60.0))
        world.settle()
        assert world.ready_generations() == [2] * 3
        world.exits(world.state.ready()[0].id, SEGV)
        world.settle()
        assert world.ready_generations() == [1, 1]

    def test_one_previous_generation_is_kept_and_not_more(self):
        world = self.reloaded()
        world.hup()
        world.settle()
        assert world.templates == {2, 3}


class TestTemplateLost:
    def test_with_all_workers_lost_too_the_previous_generation_serves_again(self):
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

    def test_workers_go_on_and_code_from_disk_becomes_a_candidate(self):
        world = running(2)
        world.template_exits(1, KILLED)
        assert world.ready_generations() == [1, 1]
        assert not world.draining
        assert world.state.candidate == 2
        world.settle()
        assert world.ready_generations() == [2, 2]

    def test_when_that_does_not_load_it_is_tried_again_with_growing_pauses(self):
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


class TestRecycle:
    def test_the_replacement_is_ready_before_the_old_worker_is_drained(self):
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
        assert "ended: max requests" in texts(world)[-1]

    def test_one_at_a_time(self):
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

    def test_a_worker_that_asked_and_left_by_itself_has_not_crashed(self):
        world = running(1)
        worker = world.state.ready()[0].id
        world.retires(worker, "SIGTERM")
        world.exits(worker)
        assert "ended: SIGTERM" in texts(world)[-1]
        assert not world.state.restarts
        world.settle()
        assert world.ready_generations() == [1]

    def test_not_before_its_shortest_lifetime(self):
        world = running(1, min_worker_lifetime=2.0)
        world.retires(world.state.ready()[0].id)
        assert not world.in_stage(Stage.SPAWNING)
        world.passes(2.1)
        assert world.in_stage(Stage.SPAWNING)

    def test_at_once_when_somebody_told_it_to_leave(self):
        world = running(1, min_worker_lifetime=2.0)
        world.retires(world.state.ready()[0].id, "SIGTERM")
        assert world.in_stage(Stage.SPAWNING)

    def test_lifetimes_end_one_by_one_though_they_began_together(self):
        world = running(4, limit_lifetime=100.0)
        world.passes(99)
        assert not world.in_stage(Stage.SPAWNING)
        for _ in range(5):
            world.passes(2.4)
            assert len(world.in_stage(Stage.SPAWNING)) <= 1
            world.settle()
        assert world.ready_generations() == [1] * 4
        assert sum("ended: lifetime" in text for text in texts(world)) == 4


MIB = 1 << 20


class TestMemory:
    def sample(self, world, *sizes, total=0):
        workers = {worker.id: size * MIB for worker, size in zip(world.state.ready(), sizes, strict=False)}
        world.happens(events.MemorySampled(world.now, workers, total * MIB))

    def test_three_samples_in_a_row_over_the_limit_replace(self):
        world = running(2, limit_memory=100 * MIB)
        for sizes in ((120, 10), (120, 10), (90, 10), (120, 10), (120, 10)):
            self.sample(world, *sizes)
        assert not world.in_stage(Stage.SPAWNING)
        self.sample(world, 130, 10)
        assert len(world.in_stage(Stage.SPAWNING)) == 1
        world.settle()
        assert "ended: memory 130 MiB, limit 100 MiB" in texts(world)[-1]

    def test_a_leak_in_all_is_handled_one_by_one(self):
        world = running(4, limit_memory=100 * MIB)
        for _ in range(3):
            self.sample(world, 120, 120, 120, 120)
        assert len(world.in_stage(Stage.SPAWNING)) == 1
        world.settle()
        assert min(worker.id for worker in world.state.ready()) > 4

    def test_the_hard_limit_stops_at_once(self):
        world = running(2, limit_memory_hard=200 * MIB)
        first = world.state.ready()[0].id
        self.sample(world, 201, 10)
        assert DrainWorker(first, 0.0, False) in world.did
        assert len(world.in_stage(Stage.SPAWNING)) == 1

    def test_too_much_in_all_replaces_the_largest_one_at_a_time(self):
        world = running(3, limit_memory_total=200 * MIB)
        self.sample(world, 50, 90, 80, total=220)
        self.sample(world, 50, 90, 80, total=220)
        assert [worker.slot for worker in world.state.workers.values() if worker.retiring] == [1]


class TestLiveness:
    def look(self, world, *ages):
        seen = {worker.id: age for worker, age in zip(world.state.ready(), ages, strict=False)}
        return world.happens(events.HeartbeatsSeen(world.now, seen))

    def test_half_way_its_stacks_are_asked_for_once(self):
        world = running(2, timeout_worker=10.0)
        first = world.state.ready()[0].id
        assert actions.DumpWorker(first) in self.look(world, 5.1, 0.2)
        assert self.look(world, 6.0, 0.2) == []
        self.look(world, 0.1, 0.2)
        assert "turns its event loop again" in texts(world)[-1]

    def test_at_the_limit_another_takes_its_place_and_then_it_is_aborted_and_killed(self):
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
        assert "ended: stuck: its event loop has not turned for 10.1 s" in texts(world)[-1]
        assert not world.state.restarts, "it does not count as a crash"

    def test_it_is_aborted_though_no_other_comes(self):
        world = running(1, timeout_worker=10.0)
        stuck = world.state.ready()[0].id
        self.look(world, 10.1)
        world.passes(5.1)
        assert AbortWorker(stuck) in world.did

    def test_one_that_turns_again_while_it_is_replaced_is_drained(self):
        world = running(1, timeout_worker=10.0)
        stuck = world.state.ready()[0].id
        self.look(world, 10.1)
        world.happens(events.HeartbeatsSeen(world.now, {stuck: 0.1}))
        assert world.draining == {stuck}

    def test_no_limit_no_judgement(self):
        world = running(1, timeout_worker=0.0)
        assert self.look(world, 1e6) == []


class TestScale:
    def test_up_from_the_current_generation_and_down_by_draining_the_last_slots(self):
        world = running(2)
        world.scale(+2)
        world.settle()
        assert world.ready_generations() == [1] * 4
        world.scale(-3)
        assert [world.state.workers[each].slot for each in world.draining] == [1, 2, 3]
        world.settle()
        assert world.ready_generations() == [1]

    def test_never_below_one(self):
        world = running(1)
        world.scale(-1)
        assert not world.draining

    def test_scaling_up_during_a_reload_reaches_the_candidate_too(self):
        world = running(2)
        world.hup()
        world.template_ready(2)
        world.scale(+1)
        world.settle()
        assert world.ready_generations() == [2] * 3

    def test_a_number_that_was_asked_for_outlives_a_lost_template_but_not_a_reload(self):
        world = running(2)
        world.scale(+1)
        world.settle()
        world.template_exits(1, KILLED)
        world.settle()
        assert world.ready_generations() == [2] * 3
        world.hup()
        world.settle()
        assert world.ready_generations() == [3] * 2


class TestStop:
    def test_term_drains_all_and_exits_0(self):
        world = running(2)
        world.signal("SIGTERM")
        assert of_kind(world.did, DrainWorker) == [DrainWorker(each, 30.0, True) for each in world.workers]
        assert actions.CloseListeners() in world.did
        world.settle()
        assert world.exit_code == 0

    def test_a_second_term_changes_nothing(self):
        world = running(1)
        world.signal("SIGTERM")
        assert world.happens(events.StopRequested(world.now, "SIGTERM")) == []

    def test_a_worker_that_does_not_leave_is_killed_after_grace_and_lifespan(self):
        world = running(1)
        world.signal("SIGTERM")
        (worker,) = world.workers
        world.passes(36.9)
        assert worker not in world.killed
        world.passes(0.2)
        assert worker in world.killed
        world.settle()
        assert world.exit_code == 0

    @pytest.mark.parametrize(("signals", "code"), [(["SIGINT"] * 2, 0), (["SIGQUIT"], 0), (["SIGTERM", "SIGQUIT"], 0)])
    def test_pressing_on_makes_it_quick(self, signals, code):
        world = running(1)
        for signal in signals:
            world.signal(signal)
        assert of_kind(world.did, DrainWorker)[-1].grace == 0
        (worker,) = world.workers
        world.passes(2.1)
        assert worker in world.killed
        world.settle()
        assert world.exit_code == code

    def test_the_third_int_kills_and_exits_130(self):
        world = running(2)
        for _ in range(3):
            world.signal("SIGINT")
        assert world.killed == set(world.workers)
        world.settle()
        assert world.exit_code == 130

    def test_a_crash_while_stopping_is_not_replaced(self):
        world = running(2)
        world.signal("SIGTERM")
        victim = next(iter(world.workers))
        world.exits(victim, SEGV)
        assert len(world.workers) == 1
        world.settle()
        assert world.exit_code == 0

    def test_stop_while_starting(self):
        world = World(settings_with(workers=2))
        world.start()
        world.signal("SIGINT")
        world.settle()
        assert world.exit_code == 0

    def test_a_reload_asked_for_while_stopping_is_not_begun(self):
        world = running(1)
        world.signal("SIGTERM")
        world.hup()
        world.settle()
        assert world.exit_code == 0
        assert of_kind(world.did, SpawnTemplate) == [SpawnTemplate(1)]

    def test_a_template_that_does_not_leave_is_killed(self):
        world = running(1)
        world.signal("SIGTERM")
        (worker,) = world.workers
        world.exits(worker)
        world.passes(50)
        assert actions.KillTemplate(1) in world.did
        world.settle()
        assert world.exit_code == 0


class TestUpgrade:
    def test_this_master_goes_on_until_its_successor_serves_and_then_leaves_the_queues_to_it(self):
        world = running(2)
        world.usr2()
        assert actions.StartSuccessor() in world.did
        assert not world.draining
        world.happens(events.SuccessorReady(world.now))
        assert actions.CloseListeners(handed_over=True) in world.did
        assert of_kind(world.did, DrainWorker) == [DrainWorker(each, 30.0, False) for each in world.workers]
        world.settle()
        assert world.exit_code == 0

    def test_one_at_a_time(self):
        world = running(1)
        world.usr2()
        world.usr2()
        assert of_kind(world.did, actions.StartSuccessor) == [actions.StartSuccessor()]

    def test_a_successor_that_fails_changes_nothing_and_another_may_follow(self):
        world = running(1)
        world.usr2()
        world.happens(events.SuccessorFailed(world.now, "it broke"))
        assert world.state.phase is Phase.RUNNING
        assert "upgrade failed, this master goes on serving: it broke" in texts(world)
        world.usr2()
        assert len(of_kind(world.did, actions.StartSuccessor)) == 2

    def test_a_stop_stops_the_successor_too(self):
        world = running(1)
        world.usr2()
        world.signal("SIGTERM")
        assert actions.StopSuccessor() in world.did
        world.settle()
        assert world.exit_code == 0


class TestDrainDelay:
    """SIGTERM with `drain_delay` is a date; until then all goes on, and any further signal ends the wait."""

    def test_everything_goes_on_until_the_delay_is_over(self):
        world = running(2, drain_delay=10)
        world.signal("SIGTERM")
        assert "connections are accepted for 10 s more" in texts(world)[-1]
        world.passes(9)
        assert not world.draining
        assert actions.CloseListeners() not in world.did
        world.exits(world.state.ready()[0].id, KILLED)
        world.passes(0.5)
        world.settle()
        assert len(world.state.ready()) == 2
        world.passes(1)
        assert actions.CloseListeners() in world.did
        world.settle()
        assert world.exit_code == 0

    @pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGQUIT"])
    def test_a_further_signal_ends_the_wait(self, name):
        world = running(2, drain_delay=10)
        world.signal("SIGTERM")
        world.signal(name)
        assert actions.CloseListeners() in world.did
        world.settle()
        assert world.exit_code == 0

    @pytest.mark.parametrize("name", ["SIGINT", "SIGQUIT"])
    def test_who_is_in_haste_does_not_wait(self, name):
        world = running(2, drain_delay=10)
        world.signal(name)
        assert actions.CloseListeners() in world.did

    def test_a_service_that_does_not_serve_yet_has_nothing_to_wait_for(self):
        world = World(settings_with(workers=1, drain_delay=10))
        world.start()
        world.signal("SIGTERM")
        world.settle()
        assert world.exit_code == 0

    def test_nothing_new_begins_meanwhile(self):
        world = running(1, drain_delay=10)
        world.usr2()
        world.signal("SIGTERM")
        assert actions.StopSuccessor() in world.did
        world.usr2()
        world.hup()
        assert world.did.count(actions.StartSuccessor()) == 1
        assert world.state.candidate is None

    def test_a_reload_under_way_does_not_hold_the_stop_up(self):
        world = running(1, drain_delay=10)
        world.hup()
        world.signal("SIGTERM")
        world.passes(10)
        world.settle()
        assert world.exit_code == 0
