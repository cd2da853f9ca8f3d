"""Events that come too late, or twice, and failures of what is about to exit: nothing is done about them."""

from __future__ import annotations

import pytest

from corn.supervisor.policy import actions, events
from corn.supervisor.policy.state import Phase, Stage, TemplateStage
from tests.support.policy_world import KILLED, SEGV, World, of_kind, running, settings_with, texts

GONE = 99


def developing():
    world = World(settings_with(development=True, timeout_graceful_shutdown=1.0))
    world.start()
    world.settle()
    return world


@pytest.mark.parametrize("world", [running(2, limit_memory_total=1), developing()], ids=["production", "development"])
@pytest.mark.parametrize(
    "event",
    [
        events.TemplateReady(0.0, GONE, "app"),
        events.TemplateSteppedDown(0.0, GONE, "a thread"),
        events.TemplateExited(0.0, GONE, KILLED),
        events.WorkerForked(0.0, GONE, 4711),
        events.WorkerNotForked(0.0, GONE, "EAGAIN"),
        events.WorkerBooting(0.0, GONE),
        events.WorkerReady(0.0, GONE),
        events.WorkerFailed(0.0, GONE, "it broke", ""),
        events.WorkerDebugging(0.0, GONE),
        events.WorkerDraining(0.0, GONE),
        events.WorkerRetiring(0.0, GONE, "SIGTERM"),
        events.WorkerExited(0.0, GONE, SEGV),
        events.DrainRequested(0.0, GONE),
        events.SuccessorReady(0.0),
        events.SuccessorFailed(0.0, "it broke"),
        events.HeartbeatsSeen(0.0, {GONE: 100.0}),
        events.MemorySampled(0.0, {GONE: 1 << 40}, 1 << 40),
    ],
    ids=lambda event: type(event).__name__,
)
def test_event_about_exited_process_changes_nothing(world, event):
    before = world.state
    world.happens(
        type(event)(world.now, *(getattr(event, name) for name in event.__dataclass_fields__ if name != "at"))
    )
    assert world.state == before


def test_event_after_exit_changes_nothing():
    world = running(1)
    world.signal("SIGTERM")
    world.settle()
    before = world.state
    assert before.phase is Phase.STOPPED
    assert world.happens(events.ReloadRequested(world.now, world.settings)) == []
    assert world.state == before


def test_fork_refused_for_drained_worker_is_no_failure():
    world = running(1)
    world.retires(1)
    world.happens(events.Tick(world.now))
    spawning = next(each.id for each in world.state.workers.values() if each.stage is Stage.SPAWNING)
    world.signal("SIGTERM")
    world.workers.pop(spawning)
    world.happens(events.WorkerNotForked(world.now, spawning, "EAGAIN"))
    assert not any("failed" in line for line in texts(world))


def test_third_sigint_kills_all_and_killed_ones_again():
    world = running(2)
    world.retires(1)
    world.happens(events.Tick(world.now))
    booting = max(world.workers)
    world.boots(booting)
    world.signal("SIGINT")
    world.happens(events.Tick(world.now + 3))  # its template does not exit either
    world.now += 3
    world.signal("SIGINT")
    world.signal("SIGINT")
    killed = [each.worker for each in of_kind(world.did, actions.KillWorker)]
    assert killed.count(booting) == 2
    assert set(killed) == set(world.workers)
    world.settle()
    assert world.exit_code == 130


def test_third_request_to_stop_leaves_template_that_is_killed_already():
    world = running(1)
    world.signal("SIGTERM")
    (worker,) = world.workers
    world.exits(worker)
    world.passes(46)
    world.signal("SIGINT")
    world.signal("SIGINT")
    assert of_kind(world.did, actions.KillTemplate) == [actions.KillTemplate(1)]
    world.settle()
    assert world.exit_code == 130


def test_two_boots_overdue_together_in_start_are_reported_once():
    world = World(settings_with(workers=2))
    world.start()
    world.template_ready(1)
    for worker in list(world.workers):
        world.boots(worker)
    world.passes(61)
    assert len([line for line in texts(world) if line.startswith("could not start")]) == 1
    world.settle()
    assert world.exit_code == 3


def test_stuck_worker_seen_again_is_aborted_once():
    world = running(1)
    (worker,) = world.workers
    for age in (31.0, 32.0):
        world.happens(events.HeartbeatsSeen(world.now, {worker: age}))
    assert len([line for line in texts(world) if "it is replaced" in line]) == 1


def test_restart_of_booting_worker_changes_nothing():
    world = World(settings_with())
    world.start()
    world.template_ready(1)
    world.boots(1)
    before = world.state
    world.happens(events.RestartRequested(world.now, 0))
    assert world.state == before


def test_fork_after_missed_one_is_counted_as_success():
    world = running(1)
    (worker,) = world.workers
    world.exits(worker, SEGV)
    world.workers.clear()
    world.passes(5.1)  # no process was forked
    assert world.state.templates[1].missed == 1
    world.passes(2)  # of backoff
    world.settle()
    assert world.state.templates[1].missed == 0


def test_stuck_worker_is_aborted_by_stop():
    world = running(1)
    (worker,) = world.workers
    world.happens(events.HeartbeatsSeen(world.now, {worker: 31.0}))
    assert world.state.workers[worker].stage is Stage.STUCK
    world.signal("SIGTERM")
    assert actions.AbortWorker(worker) in world.did


def test_ready_worker_that_crashes_in_stop_has_no_replacement():
    world = running(2, drain_delay=0.0)
    world.signal("SIGTERM")
    crashed, other = world.workers
    world.exits(crashed, SEGV)
    world.exits(other)
    world.settle()
    assert len(of_kind(world.did, actions.SpawnWorker)) == 2
    assert world.exit_code == 0


def test_lost_template_of_previous_generation_is_not_replaced():
    world = running(1, rollback_window=60)
    world.hup()
    world.settle()
    world.passes(1)
    assert world.state.previous == 1
    world.template_exits(1, KILLED)
    world.settle()
    assert len(of_kind(world.did, actions.SpawnTemplate)) == 2
    assert not any("lost" in line for line in texts(world))


class TestDevelopment:
    def test_template_that_fails_after_start_is_logged(self):
        world = developing()
        world.happens(events.PackagesKnown(world.now))
        generation = max(world.state.templates)
        world.template_fails(generation, "no module named pandas")
        assert any("no module named pandas" in line for line in texts(world))
        assert world.state.ready()

    def test_template_that_fails_in_start_ends_it(self):
        world = World(settings_with(development=True))
        world.start()
        world.template_fails(1, "no module named x")
        world.settle()
        assert world.exit_code == 3

    def test_template_that_does_not_fork_is_logged_as_lost(self):
        world = developing()
        for _ in range(2):
            world.happens(events.CodeChanged(world.now, world.settings, cold=False))
            world.passes(6)
        assert any("was lost (it does not respond)" in line for line in texts(world))

    def test_boot_that_is_overdue_when_code_changes_is_not_shown(self):
        world = World(settings_with(development=True))
        world.start()
        world.template_ready(1)
        world.boots(1)
        world.happens(events.CodeChanged(world.now + 61, world.settings, cold=False))
        assert not of_kind(world.did, actions.ShowFailure)
        assert world.state.broken is None

    def test_two_boots_that_are_overdue_together_are_shown_once(self):
        world = World(settings_with(development=True, workers=2))
        world.start()
        world.template_ready(1)
        for worker in list(world.workers):
            world.boots(worker)
        world.passes(61)
        assert len(of_kind(world.did, actions.ShowFailure)) == 1

    def test_reload_requested_in_stop_begins_no_revision(self):
        world = developing()
        world.signal("SIGTERM")
        before = world.state.revision
        world.hup()
        world.happens(events.CodeChanged(world.now, world.settings, cold=False))
        world.happens(events.PackagesKnown(world.now))
        assert world.state.revision == before
        assert len(of_kind(world.did, actions.SpawnTemplate)) == 1

    def test_surplus_slot_is_drained_when_fewer_workers_are_configured(self):
        world = World(settings_with(development=True, workers=2))
        world.start()
        world.settle()
        world.happens(events.ScaleRequested(world.now, -1))
        assert len(world.draining) == 1

    def test_debugged_boot_has_no_deadline(self):
        world = World(settings_with(development=True))
        world.start()
        world.template_ready(1)
        (worker,) = world.workers
        world.boots(worker)
        assert world.state.workers[worker].deadline is not None
        world.happens(events.WorkerDebugging(world.now, worker))
        assert world.state.workers[worker].deadline is None


def test_many_deploys_stop_surplus_draining_workers_at_once():
    world = running(1)
    for _ in range(11):
        world.hup()
        for template in list(world.state.templates.values()):
            if template.stage is TemplateStage.LOADING:
                world.template_ready(template.generation)
        for worker in [each.id for each in world.state.workers.values() if each.stage is Stage.SPAWNING]:
            world.boots(worker)
            world.ready(worker)
        for worker in world.draining:
            world.happens(events.WorkerDraining(world.now, worker))
        world.passes(0.1)
    assert sum("too many old workers" in line for line in texts(world)) == 3, "eight of eleven still drain"
    world.signal("SIGTERM")
    world.settle()
    assert world.exit_code == 0
