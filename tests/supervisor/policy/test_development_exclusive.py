"""corn dev where one process alone can have what the application needs: a database file, a lock, a port."""

from corn.supervisor.policy import actions
from corn.supervisor.policy.state import ProcessExit, Stage
from tests.supervisor.policy.test_development import change, done, fail, leave, served, serving


def spawned(world):
    """The workers of the application that were asked for."""
    return [each for each in done(world, actions.SpawnWorker) if each.broken is None]


def reload_beside(world):
    """A change, after which the new worker fails while the old one has not exited yet."""
    change(world)
    fail(world)


def test_a_worker_that_fails_beside_an_older_one_is_started_again_when_that_has_exited():
    world = served()
    reload_beside(world)
    assert world.in_stage(Stage.SPAWNING) == []
    leave(world)
    world.settle()
    assert serving(world) == [(2, False)]
    assert not done(world, actions.ShowFailure)


def test_a_worker_that_fails_alone_too_makes_its_revision_a_failure():
    world = served()
    reload_beside(world)
    leave(world)
    fail(world)
    world.settle()
    assert serving(world) == [(2, True)]
    assert len(done(world, actions.ShowFailure)) == 1
    assert len(spawned(world)) == 3


def test_exclusive_start_that_helped_once_makes_the_next_revision_wait_for_the_old_worker():
    world = served()
    reload_beside(world)
    leave(world)
    world.settle()
    before = len(spawned(world))
    change(world)
    assert len(spawned(world)) == before
    world.settle()
    assert serving(world) == [(3, False)]
    assert len(spawned(world)) == before + 1


def test_a_new_environment_forgets_that_it_helped():
    world = served()
    reload_beside(world)
    leave(world)
    world.settle()
    change(world, cold=True)
    assert not world.state.alone


def test_a_save_while_the_retry_waits_is_what_is_started():
    world = served()
    reload_beside(world)
    change(world)
    leave(world)
    world.settle()
    assert serving(world) == [(3, False)]


def test_code_that_cannot_be_compiled_is_shown_at_once():
    world = served()
    change(world)
    fail(world, failure={"kind": "syntax"})
    assert len(done(world, actions.ShowFailure)) == 1


def test_a_worker_that_exits_while_it_boots_beside_an_older_one_is_started_again():
    world = served()
    change(world)
    (booting,) = world.in_stage(Stage.SPAWNING)
    world.boots(booting)
    world.exits(booting, ProcessExit(code=1))
    world.settle()
    assert serving(world) == [(2, False)]


def test_a_worker_that_is_replaced_leaves_first_where_its_successor_fails():
    world = served()
    (old,) = world.state.ready()
    world.retires(old.id)
    fail(world)
    assert old.id in world.draining
    leave(world)
    world.settle()
    assert serving(world) == [(1, False)]


def test_siblings_of_one_revision_do_not_wait_for_each_other():
    world = served(workers=3)
    reload_beside(world)
    leave(world)
    assert len(world.in_stage(Stage.SPAWNING)) == 3
    world.settle()
    assert serving(world) == [(2, False)] * 3


def test_keep_last_good_keeps_the_old_worker():
    world = served(keep_last_good=True)
    reload_beside(world)
    world.settle()
    assert serving(world) == [(1, False)]
    assert len(done(world, actions.ShowFailure)) == 1


def test_an_old_worker_that_does_not_exit_is_killed_and_the_retry_follows():
    world = served()
    reload_beside(world)
    world.passes(world.settings.time_to_leave + 1)
    assert world.killed
    world.settle()
    assert serving(world) == [(2, False)]
