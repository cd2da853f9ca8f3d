"""Status of corn dev: the generation is the version of the running code."""

from corn.supervisor.policy import events
from corn.supervisor.policy.state import ProcessExit
from corn.supervisor.projections.history import History, continued
from corn.supervisor.projections.status import About, Observed, Reading, condition, status_of
from corn.supervisor.projections.wait_conditions import CodeReloaded
from tests.supervisor.policy.test_development import breaks, change, served

ABOUT = About("0.1", 1, "main:app", ("http://a",), 90.0)


def watched(world, condition=None):
    """Checks each change of the state against a wait condition, and keeps the history."""
    decide_and_act = world.happens
    world.history, world.outcome = History(), None

    def happens(event):
        before = world.state
        asked = decide_and_act(event)
        world.history = continued(world.history, before, world.state, event.at)
        if condition is not None and world.outcome is None:
            world.outcome = condition.check(before, world.state)
        return asked

    world.happens = happens
    return world


def status(world):
    return status_of(ABOUT, world.state, world.history, Observed({}, Reading(), {}, "info", (1.0,)), world.now)


def test_dev_reloads_are_counted_and_are_not_restarts():
    world = watched(served(workers=2))
    for _ in range(3):
        change(world)
        world.settle()
    change(world)
    breaks(world)
    world.settle()
    found = status(world)
    assert [each.restarts for each in found.slots] == [0, 0]
    assert found.restarts == {}
    assert found.reloads == {"done": 3, "refused": 1}
    assert [(each.generation, each.outcome, each.error) for each in found.recent_reloads] == [
        *((generation, "done", "") for generation in (2, 3, 4)),
        (5, "refused", "it broke"),
    ]


def test_dev_crash_is_counted_as_restart():
    world = watched(served())
    change(world)
    world.settle()
    (worker,) = world.state.ready()
    world.exits(worker.id, ProcessExit(signal="SIGSEGV"))
    world.settle()
    assert [each.restarts for each in status(world).slots] == [1]


def test_dev_generation_is_version_of_running_code():
    world = watched(served())
    for generation in (2, 3):
        change(world)
        world.settle()
        found = status(world)
        assert found.generation == generation
        assert [each.generation for each in found.workers] == [generation]
    world.happens(events.PackagesKnown(world.now))
    world.settle()
    assert status(world).generation == 3


def test_dev_failed_code_is_degraded_until_fixed():
    world = watched(served())
    change(world)
    assert condition(world.state, world.now) == ("reloading", "starting generation 2")
    breaks(world)
    world.settle()
    assert condition(world.state, world.now) == ("degraded", "generation 2 failed to start")
    assert status(world).generation is None
    assert status(world).last_error == "it broke"
    change(world)
    world.settle()
    assert condition(world.state, world.now) == ("serving", "")
    assert status(world).last_error == ""


def test_keep_last_good_shows_old_generation():
    world = watched(served(keep_last_good=True))
    change(world)
    breaks(world)
    world.settle()
    assert status(world).generation == 1


def test_wait_for_dev_reload_ends_when_code_runs():
    world = watched(served(), CodeReloaded(2))
    world.hup()
    assert world.outcome is None
    world.settle()
    assert world.outcome.ok
    assert world.outcome.text == "reloaded: generation 2 serves"


def test_wait_for_dev_reload_fails_when_code_fails():
    world = watched(served(), CodeReloaded(2))
    change(world)
    breaks(world)
    world.settle()
    assert not world.outcome.ok
    assert world.outcome.text == "generation 2 failed to start: it broke"
