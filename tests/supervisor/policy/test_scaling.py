"""Workers by load: when the policy adds one, when it removes one, and when it leaves the number alone."""

from __future__ import annotations

import pytest

from corn.supervisor.policy import events
from tests.support.policy_world import World, settings_with, texts


@pytest.fixture
def world():
    world = World(settings_with(workers=2, most_workers=4, timeout_worker=0))
    world.start()
    world.template_ready(1)
    world.settle()
    return world


def loaded(world, seconds, busy, lag=0.0):
    """So many samples, a second apart; every worker that comes is ready at once, and every one that goes is gone."""
    for _ in range(seconds):
        world.happens(events.LoadSampled(world.now, busy, lag))
        world.settle()
        world.passes(1.0)
    return world.state.target


def test_busy_workers_get_another_after_five_seconds_up_to_the_most(world):
    assert loaded(world, 5, 0.9) == 2
    assert loaded(world, 1, 0.9) == 3
    assert "scaling from 2 to 3 workers: the event loops are 90% busy, and 0 ms late" in texts(world)
    assert loaded(world, 30, 0.9) == 4
    assert len(world.workers) == 4


def test_late_event_loops_count_as_busy(world):
    assert loaded(world, 7, 0.1, lag=0.3) == 3


def test_moment_of_rest_begins_the_wait_anew(world):
    loaded(world, 4, 0.9)
    loaded(world, 1, 0.2)
    assert loaded(world, 4, 0.9) == 2


def test_idle_workers_go_after_a_minute_down_to_the_least(world):
    loaded(world, 30, 0.9)
    assert loaded(world, 60, 0.1) == 4
    assert loaded(world, 1, 0.1) == 3
    assert loaded(world, 200, 0.0) == 2
    assert len(world.workers) == 2


def test_workers_that_are_needed_stay(world):
    loaded(world, 30, 0.9)
    assert loaded(world, 200, 0.45) == 4


def test_number_that_an_operator_names_stands(world):
    world.scale(1)
    assert loaded(world, 30, 1.0) == 3
    assert loaded(world, 200, 0.0) == 3


def test_reload_keeps_what_the_load_made_of_the_range(world):
    loaded(world, 7, 0.9)
    world.hup(settings_with(workers=2, most_workers=8, timeout_worker=0))
    world.settle()
    assert world.state.target == 3
    world.hup(settings_with(workers=1, timeout_worker=0))
    world.settle()
    assert world.state.target == 1


def test_plain_number_never_changes():
    world = World(settings_with(workers=2, most_workers=2, timeout_worker=0))
    world.start()
    world.template_ready(1)
    world.settle()
    assert loaded(world, 30, 1.0, lag=1.0) == 2


def test_nothing_changes_in_a_stop(world):
    loaded(world, 4, 0.9)
    world.signal("SIGTERM")
    assert world.happens(events.LoadSampled(world.now + 5, 1.0, 1.0)) == []
