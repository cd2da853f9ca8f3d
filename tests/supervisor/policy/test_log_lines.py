"""Log lines of the policy: level and text of each, because operators search logs and alert on levels."""

import pytest

from corn.supervisor.policy import events
from corn.supervisor.policy.actions import Level
from corn.supervisor.policy.state import ProcessExit, Stage
from tests.support.policy_world import CLEAN, KILLED, SEGV, World, running, settings_with


def lines(world, since=0):
    return [(each.level, each.text) for each in world.said[since:]]


def first_worker(world):
    return world.state.ready()[0].id


def test_start_that_failed_says_why_with_traceback():
    world = World()
    world.start()
    world.template_fails(1, "no module named main")
    assert [(each.level, each.text, each.detail) for each in world.said] == [
        (Level.ERROR, "could not start: no module named main", "Traceback")
    ]
    assert (world.state.last_error, world.state.last_detail) == ("no module named main", "Traceback")


def test_template_that_steps_down_says_why_and_has_its_time_again():
    world = World(settings_with(timeout_boot=10.0))
    world.start()
    world.now += 5
    world.happens(events.TemplateSteppedDown(world.now, 1, "it runs a thread"))
    assert lines(world) == [(Level.WARNING, "it runs a thread")]
    assert world.state.templates[1].deadline == world.now + 10.0


def test_lost_template_says_how():
    world = running(1)
    world.template_exits(1, SEGV)
    text = "the template of generation 1 was lost (killed by SIGSEGV); its workers continue to serve"
    assert (Level.ERROR, text) in lines(world)


def test_template_lost_after_its_workers_says_that_none_is_ready():
    world = running(1)
    world.exits(first_worker(world), KILLED)
    world.template_exits(1, KILLED)
    text = "the template of generation 1 was lost (killed by SIGKILL); it has no ready worker"
    assert (Level.ERROR, text) in lines(world)


def test_failed_reload_says_that_no_worker_is_ready():
    world = running(1)
    world.template_exits(1, KILLED)
    world.exits(first_worker(world), KILLED)
    world.template_fails(2, "no module named x")
    text = "reload failed: generation 1 has no ready worker, generation 2 is withdrawn: no module named x"
    assert (Level.ERROR, text) in lines(world)


def test_crash_says_how_and_when_it_is_replaced():
    world = running(1)
    world.exits(first_worker(world), SEGV)
    assert lines(world)[-1] == (
        Level.ERROR,
        "worker 0 (generation 1, pid 1001) crashed: killed by SIGSEGV; replaced at once",
    )
    world.settle()
    since = len(world.said)
    world.exits(first_worker(world), SEGV)
    (level, text) = lines(world, since)[0]
    assert level is Level.ERROR
    assert text.endswith(("replaced in 0.3 s", "replaced in 0.2 s"))


def test_worker_that_cannot_be_forked_says_why():
    world = running(1)
    world.exits(first_worker(world), SEGV)
    (new,) = world.in_stage(Stage.SPAWNING)
    del world.workers[new]
    since = len(world.said)
    world.happens(events.WorkerNotForked(world.now, new, "EAGAIN"))
    (level, text) = lines(world, since)[0]
    assert (level, text.partition(";")[0]) == (
        Level.ERROR,
        "worker 0 (generation 1) failed: could not be forked: EAGAIN",
    )


def test_failed_boot_has_its_detail_and_its_exit_is_no_warning():
    world = running(1)
    world.exits(first_worker(world), SEGV)
    (new,) = world.in_stage(Stage.SPAWNING)
    world.boots(new)
    since = len(world.said)
    world.fails(new, "lifespan broke")
    failed, exited = world.said[since:]
    assert (failed.level, failed.detail) == (Level.ERROR, "Traceback")
    assert "failed: lifespan broke; replaced in" in failed.text
    assert (exited.level, exited.text.partition(") ")[2]) == (Level.DEBUG, "exited: boot failed, exited with code 3")


@pytest.mark.parametrize(
    ("end", "level", "how"),
    [
        (CLEAN, Level.INFO, "stop"),
        (SEGV, Level.WARNING, "stop, killed by SIGSEGV"),
        (ProcessExit(signal="SIGTERM"), Level.INFO, "stop, killed by SIGTERM"),
        (ProcessExit(code=1), Level.WARNING, "stop, exited with code 1"),
        (ProcessExit(note="unknown"), Level.INFO, "stop, exited (unknown)"),
    ],
)
def test_exit_in_stop_is_warning_unless_stop_explains_it(end, level, how):
    world = running(1)
    worker = first_worker(world)
    world.signal("SIGTERM")
    since = len(world.said)
    world.exits(worker, end)
    assert lines(world, since)[0] == (level, f"worker 0 (generation 1, pid 1001) exited: {how}")


def test_kill_of_draining_worker_in_reload_is_warning():
    world = running(1, timeout_graceful_shutdown=5.0, timeout_lifespan_shutdown=1.0)
    worker = first_worker(world)
    world.happens(events.DrainRequested(world.now, worker))
    assert lines(world)[-1] == (Level.INFO, "draining worker 0 (generation 1, pid 1001): requested by command")
    since = len(world.said)
    world.passes(9)
    assert (Level.WARNING, "worker 0 (generation 1, pid 1001) did not exit within its grace period") in lines(
        world, since
    )
    world.exits(worker, KILLED)
    text = "worker 0 (generation 1, pid 1001) exited: requested by command, killed by SIGKILL"
    assert lines(world)[-1] == (Level.WARNING, text)


def test_reload_in_reload_is_queued_with_line():
    world = running(1)
    world.hup()
    world.hup()
    assert lines(world)[-2:] == [
        (Level.INFO, "reloading: loading generation 2"),
        (Level.INFO, "reload queued until the one under way has finished"),
    ]


def test_scaling_line_has_both_numbers_and_none_if_equal():
    world = running(1)
    world.scale(+1)
    assert lines(world)[-1] == (Level.INFO, "scaling from 1 to 2 workers")
    since = len(world.said)
    world.scale(0)
    assert lines(world, since) == []


def test_blocked_worker_is_reported_at_half_and_at_whole_limit():
    world = running(1, timeout_worker=10.0)
    worker = first_worker(world)
    who = "worker 0 (generation 1, pid 1001)"
    stuck = (
        f"{who} is stuck: its event loop has been blocked for 10.0 s; it is replaced, then aborted with a stack dump"
    )
    reported = []
    for age in (4.9, 5.0, 4.9, 5.1, 9.9, 10.0):
        since = len(world.said)
        world.happens(events.HeartbeatsSeen(world.now, {worker: age}))
        reported.append([each for each in lines(world, since) if "is ready" not in each[1]])
    assert reported == [
        [],
        [(Level.WARNING, f"{who} has blocked its event loop for 5.0 s; its stacks follow")],
        [(Level.INFO, f"{who} has recovered: its event loop is no longer blocked")],
        [(Level.WARNING, f"{who} has blocked its event loop for 5.1 s; its stacks follow")],
        [],
        [(Level.ERROR, stuck)],
    ]
    since = len(world.said)
    world.happens(events.HeartbeatsSeen(world.now, {worker: 4.9}))
    assert lines(world, since) == [(Level.WARNING, f"{who} has recovered; it is replaced anyway")]


def test_worker_beyond_hard_memory_limit_is_stopped_with_figures():
    world = running(1, limit_memory_hard=200 << 20)
    worker = first_worker(world)
    since = len(world.said)
    world.happens(events.MemorySampled(world.now, {worker: 200 << 20}, 1))
    assert lines(world, since) == []
    world.happens(events.MemorySampled(world.now, {worker: 201 << 20}, 1))
    reason = "memory 201 MiB, hard limit 200 MiB"
    assert lines(world, since)[0] == (Level.WARNING, f"stopping worker 0 (generation 1, pid 1001) at once: {reason}")
    assert world.state.workers[worker].reason == reason
