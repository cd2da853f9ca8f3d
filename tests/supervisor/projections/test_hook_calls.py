"""Hook calls that follow from state changes; driven by the policy itself."""

from corn.hooks import ExitInfo, ReloadInfo, ScaleInfo, WorkerInfo
from corn.supervisor.policy import events
from corn.supervisor.policy.decide import decide
from corn.supervisor.policy.state import ProcessExit, State
from corn.supervisor.projections.hook_calls import hook_calls
from tests.support.policy_world import settings_with


def hooks_after(*happened, state=None):
    """Hook calls after a sequence of events, and the final state."""
    state = state or State(settings=settings_with(workers=1), target=1)
    calls = []
    for event in happened:
        before, state = state, decide(state, event).state
        calls += hook_calls(before, state)
    return calls, state


def started():
    return hooks_after(
        events.Started(0.0),
        events.TemplateReady(1.0, 1, "app"),
        events.WorkerForked(1.0, 1, 100),
        events.WorkerBooting(1.0, 1),
        events.WorkerReady(2.0, 1),
    )


def test_start_calls_worker_ready():
    calls, _ = started()
    assert calls == [("worker_ready", WorkerInfo(0, 1, 100))]


def test_reload_calls_on_reload_reload_done_and_child_exit():
    calls, _ = hooks_after(
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


def test_failed_reload_calls_reload_failed_and_starts_queued_one():
    calls, _ = hooks_after(
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


def test_stop_during_reload_calls_reload_failed_and_on_exit():
    calls, _ = hooks_after(
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


def test_rollback_after_reload_calls_reload_failed():
    calls, _ = hooks_after(
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


def test_scaling_and_crash_call_nworkers_changed_and_child_exit():
    calls, _ = hooks_after(
        events.ScaleRequested(3.0, 2),
        events.WorkerExited(4.0, 1, ProcessExit(signal="SIGKILL")),
        state=started()[1],
    )
    assert calls == [
        ("nworkers_changed", ScaleInfo(1, 3)),
        ("child_exit", WorkerInfo(0, 1, 100, "crashed: killed by SIGKILL")),
    ]
