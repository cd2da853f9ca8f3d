"""Stage timeouts: the escalation when one expires, and the time of the next one. Pure."""

from __future__ import annotations

from corn.supervisor.policy.actions import KillTemplate, KillWorker, Level
from corn.supervisor.policy.health import abort, recycles_at
from corn.supervisor.policy.rolling_reload import may_still_accept, previous_until, soak_ends
from corn.supervisor.policy.state import KILL_TIMEOUT, Phase, Stage, State, Template, TemplateStage, Worker
from corn.supervisor.policy.transition import Transition, kill

# Log text for an expired timeout of each stage.
_OVERDUE = {
    Stage.SPAWNING: "did not start in time",
    Stage.BOOTING: "was not ready within --timeout-boot",
    Stage.STUCK: "was not replaced in time",
    Stage.DRAINING: "did not exit within its grace period",
    Stage.ABORTING: "did not exit on SIGABRT",
}


def next_wake(state: State, at: float) -> float | None:
    """The earliest monotonic time from `at` on at which a `Tick` changes anything, or None."""
    times = [each.deadline for each in state.workers.values() if each.deadline is not None]
    times += [each.deadline for each in state.templates.values() if each.deadline is not None]
    if state.phase is Phase.STOPPING:
        return min(times, default=None)
    times += [restarts.not_before for restarts in state.restarts.values() if restarts.not_before > at]
    times += _later(at, *(recycles_at(state, worker) for worker in state.ready()))
    times += _later(at, state.stop_at, state.template_retry_at, soak_ends(state), previous_until(state))
    if state.candidate is not None:
        times += _later(at, *may_still_accept(state))
    return min(times, default=None)


def _later(at: float, *times: float | None) -> list[float]:
    """The given times that are in the future."""
    return [time for time in times if time is not None and time > at]


def overdue_workers(state: State, at: float) -> list[Worker]:
    return [worker for worker in state.workers.values() if worker.deadline is not None and worker.deadline <= at]


def overdue_templates(state: State, at: float) -> list[Template]:
    return [each for each in state.templates.values() if each.deadline is not None and each.deadline <= at]


def escalate_worker(draft: Transition, worker: Worker) -> None:
    """Escalate against a worker whose stage has timed out; the last step is to give it up."""
    if worker.stage is Stage.KILLING:
        draft.log(Level.ERROR, f"{worker} did not exit on SIGKILL; giving it up")
        draft.forget_worker(worker)
        return
    draft.log(Level.WARNING, f"{worker} {_OVERDUE[worker.stage]}")
    if worker.stage is Stage.BOOTING:
        draft.worker(worker, reason="boot timed out")
        abort(draft, draft.state.workers[worker.id])
    elif worker.stage is Stage.STUCK:
        abort(draft, worker)
    else:
        kill(draft, worker, _OVERDUE[worker.stage])


def escalate_template(draft: Transition, template: Template) -> None:
    if template.stage is TemplateStage.KILLING:
        draft.forget_template(template.generation)
        return
    draft.template(template, stage=TemplateStage.KILLING, since=draft.at, deadline=draft.at + KILL_TIMEOUT)
    draft.do(KillTemplate(template.generation))


def kill_now(draft: Transition) -> None:
    """Send SIGKILL to all remaining processes, again where it was sent before."""
    for worker in list(draft.state.workers.values()):
        if worker.stage is Stage.KILLING:
            draft.do(KillWorker(worker.id))
        else:
            kill(draft, worker, "stop")
    for template in list(draft.state.templates.values()):
        if template.stage is not TemplateStage.KILLING:
            escalate_template(draft, template)
