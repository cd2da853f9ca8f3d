"""Shutdown of the master: on a signal, or after a hand-over to a successor. Pure.

The urgency of a stop only increases. With a drain delay, SIGTERM only schedules the stop. Until then connections are
accepted and crashed workers are replaced, so that load balancers have time to notice; reloads and upgrades are refused.
Any further stop request ends the delay. In a final stop the workers also serve the connections in the accept queues,
because no other process will; after a hand-over they leave these to the successor, which accepts from the same sockets.
"""

from __future__ import annotations

from corn.supervisor.policy.actions import CloseListeners, Level, StartSuccessor, StopSuccessor
from corn.supervisor.policy.deadlines import kill_now
from corn.supervisor.policy.events import StopRequested, SuccessorFailed, SuccessorReady, UpgradeRequested
from corn.supervisor.policy.health import abort
from corn.supervisor.policy.state import Phase, Stage, Stop, TemplateStage
from corn.supervisor.policy.transition import Transition, drain, kill, stop_template

KILLED_BY_INT = 130
_STOPPING = {
    Stop.GRACEFUL: "stopping; in-flight requests may finish",
    Stop.QUICK: "stopping at once; in-flight requests are cancelled",
    Stop.KILL: "killing the remaining processes",
}


def upgrade_requested(draft: Transition, _: UpgradeRequested) -> None:
    state = draft.state
    if state.upgrading or state.stop_at is not None or state.phase not in (Phase.RUNNING, Phase.RELOADING):
        draft.log(Level.WARNING, "upgrade refused: another is under way, or corn is starting or stopping")
        return
    draft.log(Level.INFO, "upgrading: starting a new master")
    draft.change(upgrading=True)
    draft.do(StartSuccessor())


def successor_ready(draft: Transition, _: SuccessorReady) -> None:
    if draft.state.upgrading:
        draft.change(upgrading=False, handed_over=True)
        _stop(draft, Stop.GRACEFUL, "the new master serves")


def successor_failed(draft: Transition, event: SuccessorFailed) -> None:
    if draft.state.upgrading:
        draft.change(upgrading=False, last_error=event.error, last_detail="")
        draft.log(Level.ERROR, f"upgrade failed, this master continues to serve: {event.error}")


def stop_requested(draft: Transition, event: StopRequested) -> None:
    stop = _urgency(draft.state.stop, event.signal)
    if stop is draft.state.stop:
        return
    if draft.state.upgrading:
        draft.change(upgrading=False)
        draft.do(StopSuccessor())
    if _may_wait(draft, event):
        _delay_stop(draft, event)
        return
    _stop(draft, stop, event.cause or event.signal)
    if stop is Stop.KILL and event.signal == "SIGINT":
        draft.change(exit_code=KILLED_BY_INT)


def stop_when_due(draft: Transition) -> None:
    """Begin a scheduled stop that is due."""
    if draft.state.stop is Stop.NO and draft.state.stop_at is not None and draft.state.stop_at <= draft.at:
        _stop(draft, Stop.GRACEFUL, "--drain-delay is over")


def _may_wait(draft: Transition, event: StopRequested) -> bool:
    state = draft.state
    serves = state.phase in (Phase.RUNNING, Phase.RELOADING) and bool(state.ready())
    return event.signal == "SIGTERM" and serves and state.stop_at is None and state.settings.drain_delay > 0


def _delay_stop(draft: Transition, event: StopRequested) -> None:
    delay = draft.state.settings.drain_delay
    draft.change(stop_at=draft.at + delay, queued_reload=None)
    cause = event.cause or event.signal
    draft.log(Level.INFO, f"{cause}: accepting connections for {delay:g} s more (--drain-delay), then stopping")


def _stop(draft: Transition, stop: Stop, cause: str) -> None:
    draft.log(Level.INFO, f"{cause}: {_STOPPING[stop]}")
    draft.change(phase=Phase.STOPPING, stop=stop, stop_at=None, candidate=None, queued_reload=None)
    draft.do(CloseListeners(draft.state.handed_over))
    for template in list(draft.state.templates.values()):
        if template.stage in (TemplateStage.LOADING, TemplateStage.READY):
            stop_template(draft, template)
    if stop is Stop.KILL:
        kill_now(draft)
    else:
        _drain_all(draft, quick=stop is Stop.QUICK)


def _urgency(now: Stop, signal: str) -> Stop:
    """The urgency after one more signal: SIGTERM is graceful, each SIGINT is more urgent, SIGQUIT starts at quick."""
    if signal == "SIGTERM":
        return max(now, Stop.GRACEFUL)
    if signal == "SIGQUIT":
        return Stop.KILL if now >= Stop.QUICK else Stop.QUICK
    return Stop(min(now + 1, Stop.KILL))


def _drain_all(draft: Transition, *, quick: bool) -> None:
    for worker in list(draft.state.workers.values()):
        if worker.stage in (Stage.SPAWNING, Stage.BOOTING):
            kill(draft, worker, "stop")
        elif worker.stage in (Stage.READY, Stage.DRAINING):
            drain(draft, worker, "stop", final=not draft.state.handed_over, quick=quick)
        elif worker.stage is Stage.STUCK:
            abort(draft, worker)
