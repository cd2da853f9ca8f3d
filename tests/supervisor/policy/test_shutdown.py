"""Stops, the drain delay and upgrades; one test for each rule."""

from __future__ import annotations

import pytest

from corn.supervisor.policy import actions, events
from corn.supervisor.policy.actions import DrainWorker, SpawnTemplate
from corn.supervisor.policy.state import Phase, ProcessExit
from tests.support.policy_world import KILLED, SEGV, World, of_kind, running, settings_with, texts


class TestStop:
    def test_sigterm_drains_all_workers_and_exits_0(self):
        world = running(2)
        world.signal("SIGTERM")
        assert of_kind(world.did, DrainWorker) == [DrainWorker(each, 30.0, True) for each in world.workers]
        assert actions.CloseListeners() in world.did
        world.settle()
        assert world.exit_code == 0

    def test_second_sigterm_changes_nothing(self):
        world = running(1)
        world.signal("SIGTERM")
        assert world.happens(events.StopRequested(world.now, "SIGTERM")) == []

    def test_worker_past_grace_and_lifespan_timeout_is_killed(self):
        world = running(1)
        world.signal("SIGTERM")
        (worker,) = world.workers
        world.passes(36.9)
        assert worker not in world.killed
        world.passes(0.2)
        assert worker in world.killed
        world.settle()
        assert world.exit_code == 0

    def test_blocked_draining_worker_is_aborted_after_grace(self):
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
    def test_worker_exit_explained_by_stop_is_not_warning(self, end):
        world = World(settings_with(workers=2))
        world.start()
        world.template_ready(1)
        first, second = world.workers
        world.signal("SIGTERM")
        world.exits(first, end)
        world.exits(second, end)
        assert [each for each in world.said if each.level is not actions.Level.INFO] == []

    @pytest.mark.parametrize(("signals", "code"), [(["SIGINT"] * 2, 0), (["SIGQUIT"], 0), (["SIGTERM", "SIGQUIT"], 0)])
    def test_repeated_or_urgent_signal_stops_without_grace(self, signals, code):
        world = running(1)
        for signal in signals:
            world.signal(signal)
        assert of_kind(world.did, DrainWorker)[-1].grace == 0
        (worker,) = world.workers
        world.passes(2.1)
        assert worker in world.killed
        world.settle()
        assert world.exit_code == code

    def test_third_sigint_kills_workers_and_exits_130(self):
        world = running(2)
        for _ in range(2):
            world.signal("SIGINT")
        assert actions.KillTemplate(1) not in world.did
        world.signal("SIGINT")
        assert actions.KillTemplate(1) in world.did
        assert world.killed == set(world.workers)
        world.settle()
        assert world.exit_code == 130

    def test_second_sigquit_kills_workers_and_exits_0(self):
        world = running(2)
        world.signal("SIGQUIT")
        assert not world.killed
        world.signal("SIGQUIT")
        assert world.killed == set(world.workers)
        world.settle()
        assert world.exit_code == 0

    def test_stop_names_its_cause_or_else_its_signal(self):
        for cause, named in (("the terminal was closed", "the terminal was closed"), ("", "SIGTERM")):
            world = running(1)
            world.happens(events.StopRequested(world.now, "SIGTERM", cause))
            assert texts(world)[-1] == f"{named}: stopping; in-flight requests may finish"

    def test_candidate_that_fails_during_stop_does_not_end_stop(self):
        world = running(1)
        world.hup()
        world.signal("SIGTERM")
        world.template_fails(2)
        assert world.state.phase is Phase.STOPPING
        world.settle()
        assert world.exit_code == 0

    def test_worker_crash_during_stop_is_not_replaced(self):
        world = running(2)
        world.signal("SIGTERM")
        victim = next(iter(world.workers))
        world.exits(victim, SEGV)
        assert len(world.workers) == 1
        world.settle()
        assert world.exit_code == 0

    def test_sigint_during_start_exits_0(self):
        world = World(settings_with(workers=2))
        world.start()
        world.signal("SIGINT")
        world.settle()
        assert world.exit_code == 0

    def test_reload_during_stop_is_ignored(self):
        world = running(1)
        world.signal("SIGTERM")
        world.hup()
        world.settle()
        assert world.exit_code == 0
        assert of_kind(world.did, SpawnTemplate) == [SpawnTemplate(1)]

    def test_template_that_does_not_exit_is_killed(self):
        world = running(1)
        world.signal("SIGTERM")
        (worker,) = world.workers
        world.exits(worker)
        world.passes(50)
        assert actions.KillTemplate(1) in world.did
        world.settle()
        assert world.exit_code == 0


class TestUpgrade:
    def test_upgrade_keeps_master_until_successor_is_ready(self):
        world = running(2)
        world.usr2()
        assert actions.StartSuccessor() in world.did
        assert not world.draining
        world.happens(events.SuccessorReady(world.now))
        assert actions.CloseListeners(handed_over=True) in world.did
        assert of_kind(world.did, DrainWorker) == [DrainWorker(each, 30.0, False) for each in world.workers]
        world.settle()
        assert world.exit_code == 0

    def test_upgrade_during_upgrade_is_refused(self):
        world = running(1)
        world.usr2()
        world.usr2()
        assert of_kind(world.did, actions.StartSuccessor) == [actions.StartSuccessor()]

    def test_failed_successor_keeps_master_and_allows_retry(self):
        world = running(1)
        world.usr2()
        world.happens(events.SuccessorFailed(world.now, "it broke"))
        assert world.state.phase is Phase.RUNNING
        assert "upgrade failed, this master continues to serve: it broke" in texts(world)
        world.usr2()
        assert len(of_kind(world.did, actions.StartSuccessor)) == 2

    @pytest.mark.parametrize("then", ["SIGTERM", "SIGINT"])
    def test_stop_during_upgrade_stops_successor_once(self, then):
        world = running(1)
        world.usr2()
        world.signal("SIGTERM")
        world.signal(then)
        assert world.did.count(actions.StopSuccessor()) == 1
        world.settle()
        assert world.exit_code == 0

    def test_urgent_stop_after_hand_over_keeps_successor(self):
        world = running(1)
        world.usr2()
        world.happens(events.SuccessorReady(world.now))
        world.signal("SIGINT")
        assert of_kind(world.did, DrainWorker)[-1].grace == 0
        assert actions.StopSuccessor() not in world.did


class TestDrainDelay:
    """SIGTERM with `drain_delay` schedules the drain; a further signal starts it immediately."""

    def test_drain_delay_below_one_second_is_kept(self):
        world = running(1, drain_delay=0.5)
        world.signal("SIGTERM")
        world.passes(0.4)
        assert actions.CloseListeners() not in world.did
        world.passes(0.2)
        assert actions.CloseListeners() in world.did

    def test_drain_delay_keeps_serving_until_it_ends(self):
        world = running(2, drain_delay=10)
        world.signal("SIGTERM")
        assert "accepting connections for 10 s more" in texts(world)[-1]
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
    def test_drain_delay_ends_at_next_signal(self, name):
        world = running(2, drain_delay=10)
        world.signal("SIGTERM")
        world.signal(name)
        assert actions.CloseListeners() in world.did
        world.settle()
        assert world.exit_code == 0

    @pytest.mark.parametrize("name", ["SIGINT", "SIGQUIT"])
    def test_drain_delay_is_skipped_by_sigint_and_sigquit(self, name):
        world = running(2, drain_delay=10)
        world.signal(name)
        assert actions.CloseListeners() in world.did

    def test_drain_delay_before_ready_is_skipped(self):
        world = World(settings_with(workers=1, drain_delay=10))
        world.start()
        world.signal("SIGTERM")
        world.settle()
        assert world.exit_code == 0

    def test_drain_delay_while_some_workers_start_is_skipped(self):
        world = World(settings_with(workers=2, drain_delay=10))
        world.start()
        world.template_ready(1)
        first, _ = world.workers
        world.boots(first)
        world.ready(first)
        assert world.state.phase is Phase.STARTING
        world.signal("SIGTERM")
        assert actions.CloseListeners() in world.did

    def test_drain_delay_without_ready_worker_is_skipped(self):
        world = running(1, drain_delay=10)
        world.exits(*world.workers, SEGV)
        assert world.state.phase is Phase.RUNNING
        world.signal("SIGTERM")
        assert actions.CloseListeners() in world.did

    def test_drain_delay_drops_queued_reload(self):
        world = running(1, drain_delay=10)
        world.hup()
        world.hup()
        world.signal("SIGTERM")
        world.settle()
        assert world.ready_generations() == [2]
        assert of_kind(world.did, SpawnTemplate) == [SpawnTemplate(1), SpawnTemplate(2)]

    def test_drain_delay_names_cause_of_stop(self):
        world = running(1, drain_delay=10)
        world.happens(events.StopRequested(world.now, "SIGTERM", "corn stop"))
        assert texts(world)[-1] == "corn stop: accepting connections for 10 s more (--drain-delay), then stopping"

    def test_drain_delay_refuses_upgrade_and_reload(self):
        world = running(1, drain_delay=10)
        world.usr2()
        world.signal("SIGTERM")
        assert actions.StopSuccessor() in world.did
        world.usr2()
        world.hup()
        assert world.did.count(actions.StartSuccessor()) == 1
        assert world.state.candidate is None

    def test_drain_delay_during_reload_still_stops(self):
        world = running(1, drain_delay=10)
        world.hup()
        world.signal("SIGTERM")
        world.passes(10)
        world.settle()
        assert world.exit_code == 0
