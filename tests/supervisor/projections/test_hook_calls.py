"""Which hooks follow from what the policy decides; driven by the policy itself."""

from corn.hooks import ExitInfo, ReloadInfo, ScaleInfo, WorkerInfo
from corn.supervisor.policy import events
from corn.supervisor.policy.decide import decide
from corn.supervisor.policy.state import ProcessExit, State
from corn.supervisor.projections.hook_calls import hook_calls
from tests.support.policy_world import settings_with


def told(*happened, state=None):
    """The hooks that a sequence of events leads to, and the state in the end."""
    state = state or State(settings=settings_with(workers=1), target=1)
    calls = []
    for event in happened:
        before, state = state, decide(state, event).state
        calls += hook_calls(before, state)
    return calls, state


def started():
    return told(
        events.Started(0.0),
        events.TemplateReady(1.0, 1, "app"),
        events.WorkerForked(1.0, 1, 100),
        events.WorkerBooting(1.0, 1),
        events.WorkerReady(2.0, 1),
    )


def test_a_start_is_a_ready_worker():
    calls, _ = started()
    assert calls == [("worker_ready", WorkerInfo(0, 1, 100))]


def test_a_reload_that_is_done():
    calls, _ = told(
        events.ReloadRequested(3.0, settings_with(workers=1)),
        events.TemplateReady(4.0, 2, "app"),
        events.WorkerForked(4.0, 2, 200),
        events.WorkerBooting(4.0, 2),
        events.WorkerReady(5.0, 2),
        events.Tick(60.0),
        events.WorkerExited(60.0, 1, ProcessExit(code=0)),
        state=started()[1],
    )
    assert calls[0] == ("on_reload", ReloadInfo(2))
    assert set(map(repr, calls[1:])) == {
        repr(("reload_done", ReloadInfo(2))),
        repr(("worker_ready", WorkerInfo(0, 2, 200))),
        repr(("child_exit", WorkerInfo(0, 1, 100, "reload"))),
    }


def test_a_reload_that_fails_and_one_that_was_noted_meanwhile():
    calls, _ = told(
        events.ReloadRequested(3.0, settings_with(workers=1)),
        events.ReloadRequested(3.0, settings_with(workers=1)),
        events.TemplateFailed(4.0, 2, "no such module", "traceback"),
        state=started()[1],
    )
    assert calls == [
        ("on_reload", ReloadInfo(2)),
        ("reload_failed", ReloadInfo(2, "no such module")),
        ("on_reload", ReloadInfo(3)),
    ]


def test_a_stop_fails_the_reload_under_way_and_ends_in_on_exit():
    calls, _ = told(
        events.ReloadRequested(3.0, settings_with(workers=1)),
        events.StopRequested(4.0, "SIGTERM"),
        events.WorkerExited(5.0, 1, ProcessExit(code=0)),
        events.TemplateExited(5.0, 1, ProcessExit(code=0)),
        events.TemplateExited(5.0, 2, ProcessExit(code=0)),
        state=started()[1],
    )
    assert calls == [
        ("on_reload", ReloadInfo(2)),
        ("reload_failed", ReloadInfo(2, "the service was stopped")),
        ("child_exit", WorkerInfo(0, 1, 100, "stop")),
        ("on_exit", ExitInfo(0)),
    ]


def test_a_reload_that_is_rolled_back_after_it_was_done():
    calls, _ = told(
        events.ReloadRequested(3.0, settings_with(workers=1, soak=0.0, rollback_window=300.0)),
        events.TemplateReady(4.0, 2, "app"),
        events.WorkerForked(4.0, 2, 200),
        events.WorkerReady(5.0, 2),
        events.WorkerExited(6.0, 1, ProcessExit(code=0)),
        events.WorkerExited(7.0, 2, ProcessExit(signal="SIGSEGV")),
        state=started()[1],
    )
    assert [hook for hook, _ in calls if hook.startswith("reload")] == ["reload_done", "reload_failed"]
    failed = [info for hook, info in calls if hook == "reload_failed"]
    assert failed[0].generation == 2
    assert "SIGSEGV" in failed[0].error


def test_a_crash_and_scaling():
    calls, _ = told(
        events.ScaleRequested(3.0, 2),
        events.WorkerExited(4.0, 1, ProcessExit(signal="SIGKILL")),
        state=started()[1],
    )
    assert calls == [
        ("nworkers_changed", ScaleInfo(1, 3)),
        ("child_exit", WorkerInfo(0, 1, 100, "crashed: killed by SIGKILL")),
    ]
