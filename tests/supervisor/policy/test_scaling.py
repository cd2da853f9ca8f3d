"""Scaling by load: when the policy adds a worker, removes one, or keeps the number."""

from __future__ import annotations

import pytest

from corn.supervisor.policy import events
from tests.support.policy_world import SEGV, World, settings_with, texts


@pytest.fixture
def world():
    world = World(settings_with(workers=2, max_workers=4, timeout_worker=0))
    world.start()
    world.template_ready(1)
    world.settle()
    return world


def loaded(world, seconds, busy, lag=0.0):
    """Send one load sample a second; workers boot and exit immediately."""
    for _ in range(seconds):
        world.happens(events.LoadSampled(world.now, busy, lag))
        world.settle()
        world.passes(1.0)
    return world.state.target


def test_busy_workers_scale_up_after_five_seconds_to_maximum(world):
    assert loaded(world, 5, 0.9) == 2
    assert loaded(world, 1, 0.9) == 3
    assert "scaling from 2 to 3 workers: the event loops are 90% busy, and 0 ms late" in texts(world)
    assert loaded(world, 30, 0.9) == 4
    assert len(world.workers) == 4


@pytest.mark.parametrize(("lag", "workers"), [(0.04, 2), (0.06, 3)])
def test_late_event_loops_count_as_busy(world, lag, workers):
    assert loaded(world, 7, 0.1, lag=lag) == workers


def test_idle_sample_resets_scale_up_delay(world):
    loaded(world, 4, 0.9)
    loaded(world, 1, 0.2)
    assert loaded(world, 4, 0.9) == 2


def test_idle_workers_scale_down_after_minute_to_minimum(world):
    loaded(world, 30, 0.9)
    assert loaded(world, 60, 0.1) == 4
    assert loaded(world, 1, 0.1) == 3
    assert loaded(world, 200, 0.0) == 2
    assert len(world.workers) == 2


def test_moderate_load_keeps_worker_count(world):
    loaded(world, 30, 0.9)
    assert loaded(world, 200, 0.45) == 4


def test_operator_scale_is_kept_under_load(world):
    world.scale(1)
    assert loaded(world, 30, 1.0) == 3
    assert loaded(world, 200, 0.0) == 3


def test_reload_keeps_scaled_count_within_new_range(world):
    loaded(world, 7, 0.9)
    world.hup(settings_with(workers=2, max_workers=8, timeout_worker=0))
    world.settle()
    assert world.state.target == 3
    world.hup(settings_with(workers=1, timeout_worker=0))
    world.settle()
    assert world.state.target == 1


def test_fixed_worker_count_ignores_load():
    world = World(settings_with(workers=2, max_workers=2, timeout_worker=0))
    world.start()
    world.template_ready(1)
    world.settle()
    assert loaded(world, 30, 1.0, lag=1.0) == 2


def test_load_during_stop_is_ignored(world):
    loaded(world, 4, 0.9)
    world.signal("SIGTERM")
    assert world.happens(events.LoadSampled(world.now + 5, 1.0, 1.0)) == []


@pytest.mark.parametrize(("busy", "lag", "target"), [(0.75, 0.0, 3), (0.74, 0.0, 2), (0.0, 0.05, 3), (0.0, 0.04, 2)])
def test_busy_workers_are_those_at_threshold(world, busy, lag, target):
    assert loaded(world, 6, busy, lag) == target


@pytest.mark.parametrize(("busy", "target"), [(0.375, 3), (0.38, 4)])
def test_idle_workers_are_those_of_which_one_fewer_is_half_busy(world, busy, target):
    assert loaded(world, 20, 0.9) == 4
    assert loaded(world, 61, busy) == target


def test_late_event_loops_are_not_idle(world):
    assert loaded(world, 20, 0.9) == 4
    assert loaded(world, 100, 0.1, lag=0.3) == 4


def test_busy_sample_resets_scale_down_delay(world):
    assert loaded(world, 20, 0.9) == 4
    loaded(world, 60, 0.1)
    loaded(world, 1, 0.9)
    assert loaded(world, 60, 0.1) == 4
    assert loaded(world, 1, 0.1) == 3


def test_each_scale_up_step_has_delay_of_its_own(world):
    assert loaded(world, 6, 0.9) == 3
    assert loaded(world, 5, 0.9) == 3
    assert loaded(world, 1, 0.9) == 4


def test_each_scale_down_step_has_delay_of_its_own(world):
    assert loaded(world, 20, 0.9) == 4
    assert loaded(world, 61, 0.1) == 3
    assert loaded(world, 60, 0.1) == 3
    assert loaded(world, 1, 0.1) == 2


def test_unserved_slot_resets_scaling_delay(world):
    loaded(world, 4, 0.9)
    world.exits(next(iter(world.workers)), SEGV)
    world.happens(events.LoadSampled(world.now, 0.9, 0.0))
    world.settle()
    assert loaded(world, 5, 0.9) == 2
    assert loaded(world, 1, 0.9) == 3


def test_load_within_drain_delay_is_ignored():
    world = World(settings_with(workers=2, max_workers=4, timeout_worker=0, drain_delay=60))
    world.start()
    world.settle()
    world.signal("SIGTERM")
    assert loaded(world, 30, 0.9) == 2


def test_range_above_one_worker_scales_up_and_back():
    world = World(settings_with(workers=1, max_workers=2, timeout_worker=0))
    world.start()
    world.settle()
    assert loaded(world, 100, 0.0) == 1
    assert loaded(world, 6, 0.9) == 2
    assert loaded(world, 61, 0.25) == 1


def test_operator_scale_resets_scaling_delays(world):
    loaded(world, 4, 0.9)
    world.scale(1)
    world.happens(events.LoadSampled(world.now, 0.9, 0.0))
    assert (world.state.busy_since, world.state.idle_since) == (None, None)
