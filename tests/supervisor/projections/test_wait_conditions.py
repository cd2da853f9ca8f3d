"""Wait conditions of control clients, and the status; over the states of a world without processes."""

import pytest

from corn.supervisor.policy import events
from corn.supervisor.policy.decide import decide
from corn.supervisor.policy.state import ProcessExit, Stage
from corn.supervisor.projections import wait_conditions as waiting
from corn.supervisor.projections.history import History, continued
from corn.supervisor.projections.status import About, Observed, Reading, condition, status_of
from tests.support.policy_world import KILLED, World, running, settings_with


class Watched(World):
    """World that checks each change of its state against a wait condition, and keeps the history."""

    condition = None
    outcome = None
    history = History()

    def happens(self, event):
        before = self.state
        asked = super().happens(event)
        self.history = continued(self.history, before, self.state, event.at)
        if self.outcome is None and self.condition is not None:
            self.outcome = self.condition.check(before, self.state)
        return asked


def watched(workers=2, condition=None, **settings):
    world = Watched(settings_with(workers=workers, rollback_window=60, **settings))
    world.start()
    world.settle()
    world.condition = condition
    return world


def test_wait_for_reload_ends_with_new_generation():
    world = watched()
    world.condition = waiting.Reloaded(world.state.next_generation)
    world.hup()
    assert world.outcome is None
    world.settle()
    world.passes(2)
    assert world.outcome == waiting.Outcome(True, "reloaded: generation 2 serves")


def test_wait_for_refused_reload_returns_reason_and_traceback():
    world = watched()
    world.condition = waiting.Reloaded(world.state.next_generation)
    world.hup()
    world.template_fails(2, "no module named x")
    kept = "reload refused, generation 1 continues to serve: no module named x"
    assert world.outcome == waiting.Outcome(False, kept, "Traceback")


def test_wait_for_refused_reload_of_lost_code_says_that_none_is_ready():
    world = watched()
    world.condition = waiting.Reloaded(world.state.next_generation)
    world.hup()
    world.lose_all()
    world.template_fails(2, "no module named x")
    assert world.outcome.text == "reload refused, generation 1 has no ready worker: no module named x"


def test_wait_for_queued_reload_ends_with_its_own_outcome():
    world = watched()
    world.hup()
    world.condition = waiting.Reloaded(world.state.next_generation)
    world.hup()
    world.template_fails(2)
    assert world.outcome is None
    world.template_ready(3)
    world.settle()
    world.passes(2)
    assert world.outcome.ok
    assert "generation 3" in world.outcome.text


def test_wait_for_reload_ends_at_stop():
    world = watched()
    world.condition = waiting.Reloaded(world.state.next_generation)
    world.hup()
    world.signal("SIGTERM")
    assert world.outcome == waiting.STOPS


def test_wait_for_scaling_ends_with_target_count():
    for delta, target in ((2, 4), (-1, 1)):
        world = watched(condition=waiting.Scaled(target))
        world.scale(delta)
        world.settle()
        assert world.outcome == waiting.Outcome(True, f"{target} workers serve")


def test_wait_for_scaling_ends_when_superseded():
    world = watched(condition=waiting.Scaled(4))
    world.scale(2)
    world.scale(-1)
    assert world.outcome == waiting.Outcome(False, "superseded: the target is 3 workers now")


def test_restart_replaces_worker_before_it_exits():
    world = watched(min_worker_lifetime=1000)
    world.condition = waiting.Replaced(0, frozenset({1}))
    world.happens(events.RestartRequested(world.now, 0))
    assert len(world.state.in_slot(0)) == 2
    assert world.outcome is None
    world.settle()
    assert world.outcome.ok
    assert world.history.slots[0].reason == "requested by command"
    assert world.history.causes == {"command": 1}


def test_restart_of_slot_in_backoff_spawns_immediately():
    world = watched(workers=1)
    while world.workers:
        world.exits(max(world.workers), ProcessExit(code=1))
        world.settle()
    world.happens(events.RestartRequested(world.now, 0))
    assert len(world.workers) == 1


def test_drain_of_worker_ends_with_replacement():
    world = watched(condition=waiting.Exited(1, "worker 0"))
    world.happens(events.DrainRequested(world.now, 1))
    assert 1 in world.draining
    world.settle()
    assert world.outcome == waiting.Outcome(True, "worker 0 has exited")
    assert len(world.state.ready()) == 2


def test_drain_timeout_is_reported_as_kill():
    world = watched(condition=waiting.Exited(1, "worker 0"))
    world.happens(events.DrainRequested(world.now, 1))
    world.passes(60)
    world.exits(1, KILLED)
    assert world.outcome == waiting.Outcome(False, "worker 0 was killed: it did not exit within its grace period")


def test_rollback_by_command_restores_previous_generation():
    world = watched()
    world.hup()
    world.settle()
    world.passes(2)
    assert world.state.previous == 1
    world.condition = waiting.AllServedBy(1, "back")
    world.happens(events.RollbackRequested(world.now))
    world.settle()
    assert world.outcome == waiting.Outcome(True, "back")
    assert world.ready_generations() == [1, 1]
    assert world.history.reloads == {"done": 1, "rolled back": 1}
    assert world.state.last_error == ""


def test_wait_for_rollback_ends_when_withdrawn_code_accepts_no_more():
    world = watched()
    world.hup()
    world.settle()
    world.passes(2)
    withdrawn = world.in_stage(Stage.READY)
    world.condition = waiting.AllServedBy(1, "back")
    world.happens(events.RollbackRequested(world.now))
    for worker in world.in_stage(Stage.SPAWNING):
        world.boots(worker)
        world.ready(worker)
    world.passes(2)
    assert world.in_stage(Stage.DRAINING) == withdrawn
    for worker in withdrawn:
        assert world.outcome is None
        world.happens(events.WorkerDraining(world.now, worker))
    assert world.outcome == waiting.Outcome(True, "back")


def test_wait_for_restart_ends_when_replaced_worker_accepts_no_more():
    world = watched(1)
    world.condition = waiting.Replaced(0, frozenset({1}))
    world.happens(events.RestartRequested(world.now, 0))
    (worker,) = world.in_stage(Stage.SPAWNING)
    world.boots(worker)
    world.ready(worker)
    assert world.in_stage(Stage.DRAINING) == [1]
    assert world.outcome is None
    world.happens(events.WorkerDraining(world.now, 1))
    assert world.outcome.ok


def test_wait_for_restart_ends_when_stuck_worker_has_exited():
    world = watched(1)
    world.happens(events.HeartbeatsSeen(world.now, {1: 31.0}))
    assert world.in_stage(Stage.STUCK) == [1]
    world.condition = waiting.Replaced(0, frozenset({1}))
    world.settle()
    assert world.outcome.ok


def test_wait_for_upgrade_reports_success_and_failure():
    world = watched(condition=waiting.HandedOver())
    world.usr2()
    world.happens(events.SuccessorFailed(world.now, "it died"))
    assert world.outcome == waiting.Outcome(False, "upgrade failed, the old master continues to serve: it died")
    world = watched(condition=waiting.HandedOver())
    world.usr2()
    world.happens(events.SuccessorReady(world.now))
    for worker in world.in_stage(Stage.DRAINING):
        assert world.outcome is None
        world.happens(events.WorkerDraining(world.now, worker))
    assert world.outcome.ok


def test_requests_for_missing_worker_change_nothing():
    world = running()
    world.signal("SIGTERM")
    for event in (events.RestartRequested, events.DrainRequested):
        before = world.state
        assert decide(before, event(world.now, 99)).state == before
    assert decide(world.state, events.RollbackRequested(world.now)).state == world.state


# Status

ABOUT = About("0.1", 1, "main:app", ("http://a",), 90.0)


def status(world, **readings):
    observed = Observed({1: Reading(beat=world.now, requests=3)}, Reading(requests=4), {1: 77}, "info", (1.0,))
    return status_of(ABOUT, world.state, getattr(world, "history", History()), observed, world.now)


def test_condition_follows_phase():
    world = World(settings_with(workers=2))
    world.start()
    assert condition(world.state, world.now) == ("starting", "0 of 2 workers are ready")
    world.settle()
    assert condition(world.state, world.now) == ("serving", "")
    world.hup()
    assert condition(world.state, world.now) == ("reloading", "loading generation 2")
    world.exits(1, KILLED)
    assert condition(world.state, world.now) == ("degraded", "1 of 2 workers is ready")
    world.signal("SIGTERM")
    assert condition(world.state, world.now)[0] == "stopping"


def test_ready_worker_that_stands_in_for_remaining_one_is_counted():
    world = watched(workers=2)
    world.exits(world.state.in_slot(0)[0].id, KILLED)
    world.scale(-1)
    assert condition(world.state, world.now) == ("serving", "")
    world.exits(world.state.in_slot(1)[0].id, KILLED)
    assert condition(world.state, world.now) == ("degraded", "none of 1 workers is ready")


def test_status_holds_workers_restarts_and_counters():
    world = watched()
    world.exits(2, ProcessExit(signal="SIGSEGV"))
    world.settle()
    found = status(world)
    assert (found.phase, found.ready, found.target) == ("serving", 2, 2)
    assert found.counted.requests == 7
    assert [(each.slot, each.restarts, each.reason) for each in found.slots] == [
        (0, 0, ""),
        (1, 1, "crashed: killed by SIGSEGV"),
    ]
    assert found.restarts == {"crash": 1}
    assert found.templates[0].pid == 77
    assert [each.stage for each in found.workers] == ["ready", "ready"]


@pytest.mark.parametrize(
    "condition",
    [
        waiting.Reloaded(2),
        waiting.CodeReloaded(2),
        waiting.AllServedBy(1, "rolled back"),
        waiting.Scaled(2),
        waiting.Replaced(0, frozenset({1})),
    ],
    ids=lambda condition: type(condition).__name__,
)
def test_wait_ends_when_service_stops(condition):
    world = watched()
    world.condition = condition
    world.outcome = None
    world.signal("SIGTERM")
    assert world.outcome == waiting.STOPS


def test_wait_for_reload_ends_when_stop_overtakes_it():
    world = watched()
    world.hup()
    world.condition = waiting.Reloaded(2)
    world.signal("SIGTERM")
    assert world.outcome == waiting.STOPS


def test_wait_for_generation_ends_when_another_becomes_current():
    world = watched()
    world.hup()
    world.condition = waiting.AllServedBy(2, "rolled back")
    world.template_fails(2)
    assert world.outcome == waiting.Outcome(False, "superseded: generation 1 is current now")


def test_wait_for_scaling_ends_when_another_number_is_requested():
    world = watched(3)
    world.condition = waiting.Scaled(2)
    world.scale(1)
    assert world.outcome == waiting.Outcome(False, "superseded: the target is 4 workers now")


def test_wait_for_replacement_ends_when_slot_is_scaled_away():
    world = watched(2)
    world.condition = waiting.Replaced(1, frozenset({2}))
    world.scale(-1)
    assert world.outcome == waiting.Outcome(False, "superseded: worker 1 was scaled down")


@pytest.mark.parametrize("serves", [True, False])
def test_wait_for_upgrade_ends_with_its_outcome(serves):
    world = watched()
    world.usr2()
    world.condition = waiting.HandedOver()
    at = world.now
    world.happens(events.SuccessorReady(at) if serves else events.SuccessorFailed(at, "port in use"))
    world.settle()
    assert world.outcome is not None
    assert world.outcome.ok is serves


def test_wait_for_stop_ends_with_last_process():
    world = watched()
    world.condition = waiting.Stopped()
    world.signal("SIGTERM")
    assert world.outcome is None
    world.settle()
    assert world.outcome == waiting.Outcome(True, "stopped")
