"""The policy of corn dev, rule by rule."""

import itertools
from dataclasses import replace

import pytest

from corn.supervisor.policy import actions, events
from corn.supervisor.policy.state import Phase, ProcessExit, RevisionFailure, Stage
from tests.support.policy_world import KILLED, World, settings_with, texts


def developing(**settings):
    return World(settings_with(**{"development": True, "timeout_graceful_shutdown": 1.0, **settings}))


def served(**settings):
    """Master of corn dev with a running application."""
    world = developing(**settings)
    world.start()
    world.settle()
    assert world.state.phase is Phase.RUNNING
    return world


def change(world, *, cold=False):
    return world.happens(events.CodeChanged(world.now, world.settings, cold=cold))


def breaks(world, *, exit_code=3):
    """Fail all booting workers, also in the retry after their predecessors have exited."""
    fail(world, exit_code=exit_code)
    leave(world)
    fail(world, exit_code=exit_code)


def leave(world):
    """Let the draining workers exit."""
    for worker in world.draining & set(world.workers):
        world.exits(worker)


def fail(world, *, exit_code=3, failure=None):
    """Fail all booting workers."""
    for worker in [
        each for each in world.state.workers.values() if each.stage is Stage.SPAWNING and not each.responder
    ]:
        world.boots(worker.id)
        world.happens(events.WorkerFailed(world.now, worker.id, "it broke", "Traceback", exit_code, failure))
        world.exits(worker.id, ProcessExit(code=3))


def serving(world):
    return [(each.revision, each.responder) for each in world.state.ready()]


def done(world, kind):
    return [each for each in world.did if isinstance(each, kind)]


def test_start_spawns_bare_template_and_announces_once():
    world = served()
    assert done(world, actions.SpawnTemplate) == [actions.SpawnTemplate(1)]
    assert serving(world) == [(1, False)]
    assert len(done(world, actions.Announce)) == 1
    assert not done(world, actions.AnnounceReload)


def test_change_drains_old_worker_and_forks_from_same_template():
    world = served()
    (old,) = world.state.ready()
    asked = change(world)
    assert actions.DrainWorker(old.id, 1.0, final=False, fast=True) in asked
    assert [each for each in asked if isinstance(each, actions.SpawnWorker)] == [
        actions.SpawnWorker(2, slot=0, generation=1, revision=2)
    ]
    world.settle()
    assert any(text.endswith("exited: the code has changed") for text in texts(world))
    assert serving(world) == [(2, False)]
    assert [each.revision for each in done(world, actions.AnnounceReload)] == [2]


def test_change_reloads_all_slots_and_announces_once():
    world = served(workers=3)
    change(world)
    world.settle()
    assert serving(world) == [(2, False)] * 3
    assert len(done(world, actions.AnnounceReload)) == 1


def test_change_during_boot_kills_booting_worker():
    world = served()
    change(world)
    (booting,) = world.in_stage(Stage.SPAWNING)
    asked = change(world)
    assert actions.KillWorker(booting) in asked
    world.settle()
    assert serving(world) == [(3, False)]


def test_failed_reload_serves_error_page_until_next_change():
    world = served(workers=2)
    change(world)
    breaks(world)
    world.settle()
    assert serving(world) == [(2, True)] * 2
    assert len(done(world, actions.ShowFailure)) == 1
    world.passes(600)
    assert serving(world) == [(2, True)] * 2
    change(world)
    world.settle()
    assert serving(world) == [(3, False)] * 2


def test_times_are_counted_from_save():
    world = served(keep_last_good=True)
    world.happens(events.CodeChanged(world.now, world.settings, cold=False, age=0.5))
    world.passes(1)
    fail(world)
    broken = RevisionFailure("it broke", "Traceback")
    assert done(world, actions.ShowFailure) == [actions.ShowFailure(2, broken, 1.5)]
    world.happens(events.CodeChanged(world.now, world.settings, cold=False, age=0.25))
    world.passes(1)
    assert not done(world, actions.AnnounceReload)
    world.settle()
    assert done(world, actions.AnnounceReload) == [actions.AnnounceReload(3, 1.25)]


def test_change_applies_its_settings():
    world = served()
    world.settings = replace(world.settings, workers=2, timeout_graceful_shutdown=7.0)
    change(world)
    world.settle()
    assert serving(world) == [(2, False)] * 2
    change(world)
    assert {each.grace for each in done(world, actions.DrainWorker)[-2:]} == {7.0}


def test_recycled_worker_serves_until_next_is_ready():
    world = served()
    (old,) = world.state.ready()
    world.retires(old.id)
    assert not world.draining
    (new,) = world.in_stage(Stage.SPAWNING)
    world.boots(new)
    world.ready(new)
    assert world.draining == {old.id}
    world.exits(old.id)
    assert texts(world)[-1].endswith("exited: max requests")


def test_failed_start_serves_error_page():
    world = developing()
    world.start()
    world.template_ready(1)
    breaks(world)
    world.settle()
    assert serving(world) == [(1, True)]
    assert world.state.phase is Phase.RUNNING
    assert world.exit_code is None


def test_usage_error_exits_first_start_but_not_reload():
    world = developing()
    world.start()
    world.template_ready(1)
    breaks(world, exit_code=2)
    world.settle()
    assert world.exit_code == 2
    world = served()
    change(world)
    breaks(world, exit_code=2)
    world.settle()
    assert serving(world) == [(2, True)]


@pytest.mark.parametrize("end", [ProcessExit(code=0), ProcessExit(code=1), ProcessExit(signal="SIGSEGV")])
def test_worker_exit_before_ready_is_failure(end):
    world = served()
    change(world)
    (booting,) = world.in_stage(Stage.SPAWNING)
    world.boots(booting)
    leave(world)
    world.passes(world.settings.drain_timeout + 1)
    world.exits(booting, end)
    world.settle()
    assert serving(world) == [(2, True)]


def test_failed_fork_is_retried():
    world = served()
    change(world)
    (booting,) = world.in_stage(Stage.SPAWNING)
    world.workers.pop(booting)
    world.happens(events.WorkerNotForked(world.now, booting, "Resource temporarily unavailable"))
    world.passes(1)
    world.settle()
    assert serving(world) == [(2, False)]


def test_crashing_worker_is_restarted_without_limit():
    world = served()
    for _ in range(15):
        (worker,) = world.state.ready()
        world.exits(worker.id, ProcessExit(signal="SIGSEGV"))
        while not world.state.ready():
            world.passes(1)
            world.settle()
    assert serving(world) == [(1, False)]
    world.hup()
    world.settle()
    assert world.exit_code is None


def test_change_resets_crash_backoff():
    world = served()
    for _ in range(5):
        (worker,) = world.state.ready() or world.in_stage(Stage.SPAWNING) or [None]
        if worker is None:
            break
        world.exits(worker.id, ProcessExit(code=1))
        world.settle()
    assert not world.state.ready()
    change(world)
    world.settle()
    assert serving(world) == [(2, False)]


def test_known_packages_spawn_warm_template_for_next_worker():
    world = served()
    asked = world.happens(events.PackagesKnown(world.now))
    assert asked == [actions.SpawnTemplate(2, warm=True)]
    world.template_ready(2)
    assert [each.generation for each in world.state.ready()] == [1]
    change(world)
    world.settle()
    assert [each.generation for each in world.state.ready()] == [2]
    assert set(world.state.templates) == {1, 2}


def test_newer_packages_replace_warm_template():
    world = served()
    for _ in range(2):
        world.happens(events.PackagesKnown(world.now))
        world.settle()
    assert set(world.state.templates) == {1, 3}


def test_newer_packages_stop_only_warm_template_that_loads():
    world = served()
    world.happens(events.PackagesKnown(world.now))
    asked = world.happens(events.PackagesKnown(world.now))
    assert asked == [actions.StopTemplate(2), actions.SpawnTemplate(3, warm=True)]
    world.settle()
    assert world.happens(events.PackagesKnown(world.now)) == [actions.SpawnTemplate(4, warm=True)]
    world = served()
    change(world, cold=True)
    assert world.happens(events.PackagesKnown(world.now)) == [actions.SpawnTemplate(3, warm=True)]


def test_lost_warm_template_falls_back_to_bare():
    world = served()
    world.happens(events.PackagesKnown(world.now))
    world.settle()
    world.template_exits(2, ProcessExit(signal="SIGKILL"))
    assert texts(world)[-1] == "the template with preloaded packages was lost (killed by SIGKILL)"
    change(world)
    world.settle()
    assert [each.generation for each in world.state.ready()] == [1]


def test_lost_bare_template_is_replaced():
    world = served()
    world.template_exits(1, ProcessExit(signal="SIGKILL"))
    change(world)
    world.settle()
    assert serving(world) == [(2, False)]


def test_lost_bare_template_is_replaced_beside_warm_one():
    world = served()
    world.happens(events.PackagesKnown(world.now))
    world.settle()
    world.template_exits(1, KILLED)
    assert done(world, actions.SpawnTemplate)[-1] == actions.SpawnTemplate(3)
    assert texts(world)[-1] == "the template with no packages was lost (killed by SIGKILL)"


def test_lost_bare_template_is_replaced_with_growing_delays():
    world = served()
    attempts = []
    for generation in range(1, 7):
        world.template_exits(generation, KILLED)
        while world.templates != {generation + 1}:
            world.passes(0.1)
        attempts.append(world.now)
    assert attempts[0] == 100.0
    gaps = [later - earlier for earlier, later in itertools.pairwise(attempts)]
    assert gaps == sorted(set(gaps))


def test_cold_change_replaces_all_templates():
    world = served()
    world.happens(events.PackagesKnown(world.now))
    world.settle()
    change(world, cold=True)
    world.settle()
    assert set(world.state.templates) == {3}
    assert not any("was lost" in text for text in texts(world))
    assert [(each.revision, each.generation) for each in world.state.ready()] == [(2, 3)]


def test_hup_replaces_templates():
    world = served()
    world.hup()
    world.settle()
    assert set(world.state.templates) == {2}
    assert serving(world) == [(2, False)]


def test_keep_last_good_serves_old_code_until_new_is_ready():
    world = served(keep_last_good=True)
    change(world)
    assert serving(world) == [(1, False)]
    breaks(world)
    world.settle()
    assert serving(world) == [(1, False)]
    change(world)
    world.settle()
    assert serving(world) == [(3, False)]


def test_keep_last_good_without_old_worker_serves_error_page():
    world = served(keep_last_good=True)
    change(world)
    breaks(world)
    world.settle()
    (old,) = world.state.ready()
    world.exits(old.id, ProcessExit(signal="SIGKILL"))
    world.settle()
    assert serving(world) == [(2, True)]


def test_debugger_suspends_boot_timeout():
    world = served(timeout_boot=10.0)
    change(world)
    (booting,) = world.in_stage(Stage.SPAWNING)
    world.boots(booting)
    world.happens(events.WorkerDebugging(world.now, booting))
    world.passes(3600)
    world.ready(booting)
    assert serving(world) == [(2, False)]


def test_boot_timeout_is_failure():
    world = served(timeout_boot=10.0)
    change(world)
    (booting,) = world.in_stage(Stage.SPAWNING)
    leave(world)
    world.boots(booting)
    world.passes(11)
    world.settle()
    assert serving(world) == [(2, True)]


def test_stop_during_reload_exits_0():
    world = served(workers=2)
    change(world)
    world.signal("SIGINT")
    change(world)
    world.settle()
    assert world.exit_code == 0
