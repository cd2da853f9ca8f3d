"""Time of the next tick: each thing that the policy waits for wakes the master, and what is past does not."""

from dataclasses import replace

import pytest

from corn.supervisor.policy.backoff import Restarts
from corn.supervisor.policy.deadlines import next_wake
from corn.supervisor.policy.state import Phase, Stage, State, Template, TemplateStage, Worker
from tests.support.policy_world import settings_with

SETTINGS = settings_with(rollback_window=20.0, soak=3.0, min_worker_lifetime=1.0)
READY = Worker(1, 0, 1, Stage.READY, 100.0)
LOADED = Template(1, TemplateStage.READY, SETTINGS, 90.0)
BASE = State(SETTINGS, 1, Phase.RUNNING, current=1, workers={1: READY}, templates={1: LOADED})
CANDIDATE = {"candidate": 2, "templates": {1: LOADED, 2: replace(LOADED, generation=2)}}


@pytest.mark.parametrize(
    ("fields", "wake"),
    [
        ({}, None),
        ({"workers": {1: replace(READY, deadline=107.0)}}, 107.0),
        ({"templates": {1: replace(LOADED, deadline=108.0)}}, 108.0),
        ({"restarts": {0: Restarts(not_before=109.0)}}, 109.0),
        ({"stop_at": 110.0}, 110.0),
        ({"template_retry_at": 111.0}, 111.0),
        ({"previous": 3, "committed_at": 100.0}, 120.0),
        ({**CANDIDATE, "workers": {1: READY, 2: replace(READY, id=2, generation=2, since=104.0)}}, 107.0),
        ({**CANDIDATE, "workers": {1: replace(READY, stage=Stage.DRAINING, since=104.5)}}, 105.5),
        ({"workers": {1: replace(READY, stage=Stage.DRAINING, since=104.5)}}, None),
    ],
)
def test_awaited_time_wakes_master(fields, wake):
    assert next_wake(replace(BASE, **fields), 105.0) == wake


def test_end_of_lifetime_wakes_master():
    settings = replace(SETTINGS, limit_lifetime=60.0)
    assert next_wake(replace(BASE, settings=settings), 105.0) == pytest.approx(100 + 60 * (1 + 0.1 * READY.spread))
    retiring = replace(READY, since=104.5, retiring="by limit")
    assert next_wake(replace(BASE, workers={1: retiring}), 105.0) == 105.5


@pytest.mark.parametrize(
    "fields",
    [
        {"restarts": {0: Restarts(not_before=105.0)}},
        {"stop_at": 105.0},
        {"template_retry_at": 104.0},
        {"previous": 3, "committed_at": 85.0},
        {"workers": {1: replace(READY, retiring="by limit")}},
    ],
)
def test_time_that_has_come_wakes_no_more(fields):
    assert next_wake(replace(BASE, **fields), 105.0) is None


def test_earliest_of_all_is_next():
    several = replace(
        BASE,
        workers={1: replace(READY, deadline=109.0)},
        templates={1: replace(LOADED, deadline=108.0)},
        restarts={0: Restarts(not_before=107.0)},
        stop_at=106.0,
    )
    assert next_wake(several, 105.0) == 106.0
    assert next_wake(several, 106.0) == 107.0
    assert next_wake(replace(several, phase=Phase.STOPPING), 105.0) == 108.0
    assert next_wake(replace(several, stop_at=None, restarts={}, templates={1: LOADED}), 105.0) == 109.0


def test_nothing_wakes_stopping_master_without_deadline():
    assert next_wake(replace(BASE, phase=Phase.STOPPING), 105.0) is None
