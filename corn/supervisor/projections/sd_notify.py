"""sd_notify(3) notices that follow from a decision: from the difference between the states before and after it. Pure.

A notice is a datagram with one assignment a line. The manager starts dependent units after READY=1. RELOADING=1, with a
timestamp, begins a reload; another READY=1 ends it. EXTEND_TIMEOUT_USEC announces how long the current step of a start
or a stop may still take, so that the manager does not time out before corn's own timeouts.

Rejected: notices as actions of the policy. Each transition would be described twice, and a missing notice would only
be noticed under systemd; here a property test covers every change of phase.
"""

from __future__ import annotations

from collections.abc import Iterator

from corn.supervisor.policy.state import Phase, Stage, State, TemplateStage
from corn.supervisor.projections.status import condition

_MARGIN = 5.0  # seconds beyond a deadline, for the steps that follow it
_MAX_STATUS = 200
_SERVES = (Phase.RUNNING, Phase.RELOADING)
_STARTING = (Stage.SPAWNING, Stage.BOOTING)


def notices(before: State, after: State, at: float) -> Iterator[str]:
    """The notices to send, in order; `at` is the monotonic time in seconds."""
    yield from _of_phases(before, after, at)
    extension = _step_deadline(after)
    if extension is not None and extension != _step_deadline(before):
        yield f"EXTEND_TIMEOUT_USEC={max(1, int((extension + _MARGIN - at) * 1e6))}"
    status = status_line(after, at)
    begins = before.next_generation == 1 and before.templates is not after.templates
    if begins or status != status_line(before, at):
        yield f"STATUS={status}"


def refused_reload(state: State, at: float, why: str) -> Iterator[str]:
    """Notices for a requested reload that did not begin: the manager waits for its end."""
    if state.phase is Phase.RUNNING:
        yield reloading(at)
        yield f"READY=1\nSTATUS={_one_line(f'reload refused: {why}')}"


def reloading(at: float) -> str:
    return f"RELOADING=1\nMONOTONIC_USEC={int(at * 1e6)}"


def is_healthy(state: State) -> bool:
    """True if the service is healthy: workers are ready, or a start or a stop is under way."""
    if state.phase in (Phase.STOPPING, Phase.STOPPED) or state.ready():
        return True
    loads = any(each.stage is TemplateStage.LOADING for each in state.templates.values())
    return loads or any(worker.stage in _STARTING for worker in state.workers.values())


def status_line(state: State, at: float) -> str:
    """Status line for `systemctl status`."""
    word, more = condition(state, at)
    more = more or f"{_workers(state.target)}, generation {state.current}"
    error = f"; last error: {state.last_error}" if state.last_error else ""
    return _one_line(f"{word}: {more}{error}")


def _of_phases(before: State, after: State, at: float) -> Iterator[str]:
    if _is_stopping(before):
        return  # the end of a reload is not reported during a stop
    was, now = before.phase, after.phase
    if was is Phase.STARTING and now in _SERVES:
        yield "READY=1"
    if now is Phase.RELOADING and (was is not Phase.RELOADING or before.candidate != after.candidate):
        yield reloading(at)
    elif was is Phase.RELOADING and now is Phase.RUNNING:
        yield "READY=1"
    if _is_stopping(after):
        yield "STOPPING=1"


def _is_stopping(state: State) -> bool:
    """True if the service stops; not after a hand-over, when the successor sends the notices."""
    stops = state.phase in (Phase.STOPPING, Phase.STOPPED) or state.stop_at is not None
    return stops and not state.handed_over


def _step_deadline(state: State) -> float | None:
    """Deadline of the next step of a start or a stop, which the manager must wait for; None without a bound."""
    if state.phase is not Phase.STARTING and not _is_stopping(state):
        return None
    times = [each.deadline for each in state.workers.values()] + [each.deadline for each in state.templates.values()]
    times.append(state.stop_at)
    return max((each for each in times if each is not None), default=None)


def _workers(number: int) -> str:
    return f"{number} worker" if number == 1 else f"{number} workers"


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _MAX_STATUS else line[: _MAX_STATUS - 3] + "..."
