"""The rule table: complete, and without effect for processes that have exited."""

from __future__ import annotations

from corn.supervisor.policy import events
from corn.supervisor.policy.decide import _RULES
from tests.support.policy_world import SEGV, running


def test_each_event_has_rule():
    kinds = {kind for kind in vars(events).values() if isinstance(kind, type) and issubclass(kind, events.Event)}
    assert set(_RULES) == kinds - {events.Event}


def test_event_for_exited_process_changes_nothing():
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
