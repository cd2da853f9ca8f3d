"""corn dev with an application that needs an exclusive resource: a database file, a lock, a port."""

import pytest

from corn.supervisor.policy import actions
from corn.supervisor.policy.state import ProcessExit, Stage
from tests.supervisor.policy.test_development import breaks, change, done, fail, leave, served, serving


def spawned(world):
    """Spawned workers of the application, without error pages."""
    return [each for each in done(world, actions.SpawnWorker) if each.broken is None]


def reload_beside(world):
    """Make a change whose worker fails before the old worker has exited."""
    change(world)
    fail(world)


def test_failure_beside_old_worker_is_retried_after_its_exit():
    world = served()
    reload_beside(world)
    assert world.in_stage(Stage.SPAWNING) == []
    leave(world)
    world.settle()
    assert serving(world) == [(2, False)]
    assert not done(world, actions.ShowFailure)


def test_failure_without_old_worker_fails_revision():
    world = served()
    reload_beside(world)
    leave(world)
    fail(world)
    world.settle()
    assert serving(world) == [(2, True)]
    assert len(done(world, actions.ShowFailure)) == 1
    assert len(spawned(world)) == 3


def test_successful_exclusive_start_makes_next_revision_wait():
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


def test_cold_change_resets_exclusive_start():
    world = served()
    reload_beside(world)
    leave(world)
    world.settle()
    change(world, cold=True)
    assert not world.state.exclusive


def test_change_during_pending_retry_starts_newest_revision():
    world = served()
    reload_beside(world)
    change(world)
    leave(world)
    world.settle()
    assert serving(world) == [(3, False)]


def test_failure_soon_after_exit_of_old_worker_is_retried():
    world = served()
    change(world)
    leave(world)
    fail(world)
    assert not done(world, actions.ShowFailure)
    world.settle()
    assert serving(world) == [(2, False)]


@pytest.mark.parametrize(("exited", "shown"), [(True, 1), (False, 0)])
def test_late_failure_is_retried_while_old_worker_has_not_exited(exited, shown):
    world = served()
    change(world)
    (booting,) = world.in_stage(Stage.SPAWNING)
    world.boots(booting)
    if exited:
        leave(world)
    world.passes(world.settings.drain_timeout + 1)
    world.fails(booting)
    assert len(done(world, actions.ShowFailure)) == shown


def test_failure_without_conflict_does_not_make_next_revisions_wait():
    world = served()
    change(world)
    breaks(world)
    for _ in range(2):
        change(world)
        assert world.in_stage(Stage.SPAWNING)
        world.settle()
    assert serving(world) == [(4, False)]


def test_syntax_error_is_shown_without_retry():
    world = served()
    change(world)
    fail(world, failure={"kind": "syntax"})
    assert len(done(world, actions.ShowFailure)) == 1


def test_exit_during_boot_beside_old_worker_is_retried():
    world = served()
    change(world)
    (booting,) = world.in_stage(Stage.SPAWNING)
    world.boots(booting)
    world.exits(booting, ProcessExit(code=1))
    world.settle()
    assert serving(world) == [(2, False)]


def test_recycled_worker_drains_first_if_successor_fails():
    world = served()
    (old,) = world.state.ready()
    world.retires(old.id)
    fail(world)
    assert old.id in world.draining
    leave(world)
    world.settle()
    assert serving(world) == [(1, False)]


def test_workers_of_same_revision_do_not_wait_for_each_other():
    world = served(workers=3)
    reload_beside(world)
    leave(world)
    assert len(world.in_stage(Stage.SPAWNING)) == 3
    world.settle()
    assert serving(world) == [(2, False)] * 3


def test_keep_last_good_keeps_old_worker_without_retry():
    world = served(keep_last_good=True)
    reload_beside(world)
    world.settle()
    assert serving(world) == [(1, False)]
    assert len(done(world, actions.ShowFailure)) == 1


def test_stuck_old_worker_is_killed_before_retry():
    world = served()
    reload_beside(world)
    world.passes(world.settings.drain_timeout + 1)
    assert world.killed
    world.settle()
    assert serving(world) == [(2, False)]
