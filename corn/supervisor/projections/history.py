"""History of workers and reloads since the master started: counted from the difference between two states. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace

from corn.frozen import frozen
from corn.supervisor.policy.state import Phase, State, Worker

KEPT_RELOADS = 20
PLANNED = ("reload", "rolled back", "scaled down", "stop", "the code has changed")
# Prefix of a worker's exit reason, and the cause under which the exit is counted.
_CAUSES = {
    "stuck": "stuck",
    "boot": "boot",
    "did not start": "boot",
    "memory": "memory",
    "max requests": "requests",
    "lifetime": "lifetime",
    "SIG": "signal",
    "requested": "command",
}


@frozen
class Restarted:
    """Unplanned restarts of a slot: their number, and the cause and monotonic time of the last."""

    times: int = 0
    reason: str = ""
    at: float = 0.0


@frozen
class ReloadRecord:
    """A reload that has ended: its number since the start, and its outcome (done, refused, rolled back).

    `generation` is what was loaded, None if its configuration was refused. Times are monotonic.
    """

    number: int
    generation: int | None
    outcome: str
    error: str
    began: float
    ended: float


@frozen
class History:
    """Counts since the start: `slots` by slot, `causes` of workers' exits by cause, `reloads` by outcome.

    `recent_reloads` are the last ones, oldest first.
    """

    slots: Mapping[int, Restarted] = field(default_factory=dict)
    causes: Mapping[str, int] = field(default_factory=dict)
    reloads: Mapping[str, int] = field(default_factory=dict)
    recent_reloads: tuple[ReloadRecord, ...] = ()


def continued(history: History, before: State, after: State, at: float) -> History:
    """The history after a decision at time `at`."""
    if before.workers is not after.workers:
        for worker in before.workers.values():
            if worker.id not in after.workers:
                history = _with_end(history, worker, after, at)
    outcome = _reload_outcome(before, after)
    if not outcome:
        return history
    generation, began = _reload_of(before, after, at)
    error = "" if outcome == "done" else after.last_error
    return _with_reload(history, ReloadRecord(_count(history) + 1, generation, outcome, error, began, at))


def with_refused_configuration(history: History, error: str, at: float) -> History:
    """The history after a reload that did not begin, because the configuration cannot be used."""
    return _with_reload(history, ReloadRecord(_count(history) + 1, None, "refused", error, at, at))


def _with_reload(history: History, record: ReloadRecord) -> History:
    recent = (*history.recent_reloads, record)[-KEPT_RELOADS:]
    return replace(history, reloads=_one_more(history.reloads, record.outcome), recent_reloads=recent)


def _count(history: History) -> int:
    return sum(history.reloads.values())


def _with_end(history: History, worker: Worker, after: State, at: float) -> History:
    reason = worker.reason or worker.retiring
    if reason in PLANNED or after.phase in (Phase.STOPPING, Phase.STOPPED):
        return history
    cause = next((cause for start, cause in _CAUSES.items() if reason.startswith(start)), "")
    cause = cause or ("crash" if worker.is_ready else "boot")
    if cause == "boot" and after.settings.development:
        return history  # counted as a refused reload
    so_far = history.slots.get(worker.slot, Restarted())
    text = reason or after.last_error.removeprefix(f"{worker} ") or "exited by itself"
    slots = {**history.slots, worker.slot: Restarted(so_far.times + 1, text, at)}
    return replace(history, slots=slots, causes=_one_more(history.causes, cause))


def _reload_outcome(before: State, after: State) -> str:
    if after.settings.development:
        if before.announced or not after.announced:
            return ""
        return "done" if after.broken is None else "refused"
    if after.phase in (Phase.STOPPING, Phase.STOPPED):
        return ""
    if before.current is not None and after.current is not None and after.current < before.current:
        return "rolled back"
    if before.phase is Phase.RELOADING and before.candidate is not None and after.candidate != before.candidate:
        return "done" if after.current == before.candidate else "refused"
    return ""


def _reload_of(before: State, after: State, at: float) -> tuple[int | None, float]:
    """The generation of a reload that has just ended, and when it began."""
    if after.settings.development:
        return after.revision, after.changed_at
    if before.phase is not Phase.RELOADING:
        return before.current, at  # which was withdrawn
    template = before.templates.get(before.candidate or 0)
    return before.candidate, at if template is None else template.since


def _one_more(counts: Mapping[str, int], name: str) -> dict[str, int]:
    return {**counts, name: counts.get(name, 0) + 1}
