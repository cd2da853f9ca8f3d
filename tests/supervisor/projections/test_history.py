"""The history of reloads: how each ended, when, and why it was refused."""

from __future__ import annotations

from corn.supervisor.policy import events
from corn.supervisor.projections.history import KEPT_RELOADS, History, with_refused_configuration
from tests.supervisor.projections.test_wait_conditions import status, watched
from tests.support.policy_world import SEGV


def reloaded(world):
    world.hup()
    world.settle()
    world.passes(2)


def outcomes(world):
    return [(each.generation, each.outcome, each.error) for each in status(world).recent_reloads]


def test_successful_reload_is_recorded_with_duration_and_age():
    world = watched()
    world.hup()
    world.passes(3)
    world.settle()
    world.passes(4)
    (record,) = status(world).recent_reloads
    assert (record.number, record.generation, record.outcome, record.error) == (1, 2, "done", "")
    assert record.took == 3
    assert record.ago == 4


def test_refused_reload_is_recorded_with_error():
    world = watched()
    world.hup()
    world.template_fails(2, "no module named x")
    assert outcomes(world) == [(2, "refused", "no module named x")]


def test_rollback_after_crash_is_recorded_for_crashed_generation():
    world = watched()
    reloaded(world)
    world.exits(world.state.ready()[0].id, SEGV)
    world.settle()
    assert outcomes(world)[1][:2] == (2, "rolled back")
    assert "crashed soon after the reload" in outcomes(world)[1][2]


def test_rollback_by_command_is_recorded_without_error():
    world = watched()
    reloaded(world)
    world.happens(events.RollbackRequested(world.now))
    world.settle()
    assert outcomes(world)[1] == (2, "rolled back", "")


def test_reload_during_stop_is_not_recorded():
    world = watched()
    world.hup()
    world.signal("SIGTERM")
    assert outcomes(world) == []


def test_refused_configuration_is_recorded_without_generation():
    history = with_refused_configuration(History(), "port cannot change", 5.0)
    (record,) = history.recent_reloads
    assert (record.generation, record.outcome, record.error, record.ended) == (None, "refused", "port cannot change", 5)
    assert history.reloads == {"refused": 1}


def test_history_keeps_last_reloads():
    history = History()
    for _ in range(KEPT_RELOADS + 5):
        history = with_refused_configuration(history, "no", 1.0)
    assert [each.number for each in history.recent_reloads] == list(range(6, KEPT_RELOADS + 6))
    assert history.reloads == {"refused": KEPT_RELOADS + 5}
