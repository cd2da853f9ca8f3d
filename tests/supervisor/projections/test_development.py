"""What corn tells of itself in development: its generation is the version of the code that serves."""

from corn.supervisor.policy import events
from corn.supervisor.policy.state import ProcessExit
from corn.supervisor.projections.history import History, continued
from corn.supervisor.projections.status import About, Observed, Reading, condition, status_of
from corn.supervisor.projections.wait_conditions import CodeReloaded
from tests.supervisor.policy.test_development import breaks, change, served

ABOUT = About("0.1", 1, "main:app", ("http://a",), 90.0)


def watched(world, wish=None):
    """Shows each change of the state to a wish, and keeps the history."""
    decide_and_act = world.happens
    world.history, world.outcome = History(), None

    def happens(event):
        before = world.state
        asked = decide_and_act(event)
        world.history = continued(world.history, before, world.state, event.at)
        if wish is not None and world.outcome is None:
            world.outcome = wish.seen(before, world.state)
        return asked

    world.happens = happens
    return world


def status(world):
    return status_of(ABOUT, world.state, world.history, Observed({}, Reading(), {}, "info", (1.0,)), world.now)


def test_reloads_in_development_are_counted_and_are_no_restarts():
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


def test_a_crash_in_development_is_a_restart():
    world = watched(served())
    change(world)
    world.settle()
    (worker,) = world.state.ready()
    world.exits(worker.id, ProcessExit(signal="SIGSEGV"))
    world.settle()
    assert [each.restarts for each in status(world).slots] == [1]


def test_the_generation_in_development_is_the_version_of_the_code_that_serves():
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


def test_code_that_does_not_run_is_a_degraded_service_until_it_is_fixed():
    world = watched(served())
    change(world)
    assert condition(world.state, world.now) == ("reloading", "generation 2 starts")
    breaks(world)
    world.settle()
    assert condition(world.state, world.now) == ("degraded", "generation 2 does not run")
    assert status(world).generation is None
    assert status(world).last_error == "it broke"
    change(world)
    world.settle()
    assert condition(world.state, world.now) == ("serving", "")
    assert status(world).last_error == ""


def test_keep_last_good_shows_the_generation_that_is_kept():
    world = watched(served(keep_last_good=True))
    change(world)
    breaks(world)
    world.settle()
    assert status(world).generation == 1


def test_waiting_for_a_reload_in_development_ends_when_the_code_serves():
    world = watched(served(), CodeReloaded(2))
    world.hup()
    assert world.outcome is None
    world.settle()
    assert world.outcome.ok
    assert world.outcome.text == "reloaded: generation 2 serves"


def test_waiting_for_a_reload_in_development_fails_where_the_code_does_not_run():
    world = watched(served(), CodeReloaded(2))
    change(world)
    breaks(world)
    world.settle()
    assert not world.outcome.ok
    assert world.outcome.text == "generation 2 does not run: it broke"
