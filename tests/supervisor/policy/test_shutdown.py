"""Stops, the drain delay and upgrades; one test a rule."""

from __future__ import annotations

import pytest

from corn.supervisor.policy import actions, events
from corn.supervisor.policy.actions import DrainWorker, SpawnTemplate
from corn.supervisor.policy.state import Phase, ProcessExit
from tests.support.policy_world import KILLED, SEGV, World, of_kind, running, settings_with, texts


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

    def test_draining_worker_that_is_blocked_when_its_grace_is_over_is_aborted(self):
        world = running(2)
        world.signal("SIGTERM")
        blocked, other = world.workers
        world.passes(29.0)
        world.happens(events.HeartbeatsSeen(world.now, {blocked: 29.0}))
        assert blocked not in world.killed
        world.passes(1.6)
        world.happens(events.HeartbeatsSeen(world.now, {blocked: 30.6, other: 0.2}))
        assert actions.AbortWorker(blocked) in world.did
        assert other not in world.killed
        world.settle()
        assert world.exit_code == 0

    @pytest.mark.parametrize("end", [ProcessExit(signal="SIGTERM"), ProcessExit(signal="SIGKILL")])
    def test_worker_whose_end_the_stop_explains_is_no_warning(self, end):
        world = World(settings_with(workers=2))
        world.start()
        world.template_ready(1)
        first, second = world.workers
        world.signal("SIGTERM")
        world.exits(first, end)
        world.exits(second, end)
        assert [each for each in world.said if each.level is not actions.Level.INFO] == []

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
    def test_upgrade_keeps_the_master_until_its_successor_serves(self):
        world = running(2)
        world.usr2()
        assert actions.StartSuccessor() in world.did
        assert not world.draining
        world.happens(events.SuccessorReady(world.now))
        assert actions.CloseListeners(handed_over=True) in world.did
        assert of_kind(world.did, DrainWorker) == [DrainWorker(each, 30.0, False) for each in world.workers]
        world.settle()
        assert world.exit_code == 0

    def test_upgrade_during_an_upgrade_is_refused(self):
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
    def test_drain_delay_is_ended_by_a_more_urgent_stop(self, name):
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
