"""State transition under construction, and the steps that rules are made of. Pure.

A `Transition` lives for one call of `decide`: the state so far and the actions so far. The functions below it drain,
kill, start and stop workers and templates.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import inf
from typing import Any

from corn.frozen import frozen
from corn.supervisor.policy.actions import Action, DrainWorker, KillWorker, Level, LogLine, SpawnTemplate, StopTemplate
from corn.supervisor.policy.backoff import Restarts
from corn.supervisor.policy.events import Event, TemplateReady
from corn.supervisor.policy.state import (
    GRACE_MARGIN,
    KILL_TIMEOUT,
    QUICK_GRACE,
    TEMPLATE_EXIT_TIMEOUT,
    RevisionFailure,
    Settings,
    Stage,
    State,
    Template,
    TemplateStage,
    Worker,
)


@frozen
class Rules:
    """Rules that differ between `corn serve` and `corn dev`: reactions to events, and reconciliation.

    The number passed with a failure is the exit code of the master if the failure ends it.
    """

    events: Mapping[type[Event], Callable[[Transition, Any], None]]
    template_failed: Callable[[Transition, int, RevisionFailure, int], None]
    template_lost: Callable[[Transition, Template, str], None]
    worker_failed: Callable[[Transition, Worker, RevisionFailure, int], None]
    give_up: Callable[[Transition], None]
    reconcile: Callable[[Transition], None]


class Transition:
    """Mutable draft of a decision. `at` is the event's time, the only clock of the policy."""

    __slots__ = ("actions", "at", "rules", "state")

    def __init__(self, state: State, at: float, rules: Rules) -> None:
        self.state = state
        self.at = at
        self.rules = rules
        self.actions: list[Action] = []

    def do(self, action: Action) -> None:
        self.actions.append(action)

    def log(self, level: Level, text: str, detail: str = "") -> None:
        self.actions.append(LogLine(level, text, detail))

    def change(self, **fields: Any) -> None:
        self.state = replace(self.state, **fields)

    def worker(self, worker: Worker, **fields: Any) -> None:
        """Put a worker in the state, changed by `fields`."""
        changed = replace(worker, **fields)
        self.change(workers={**self.state.workers, worker.id: changed})

    def forget_worker(self, worker: Worker) -> None:
        self.change(workers={key: value for key, value in self.state.workers.items() if key != worker.id})

    def template(self, template: Template, **fields: Any) -> None:
        changed = replace(template, **fields)
        self.change(templates={**self.state.templates, template.generation: changed})

    def forget_template(self, generation: int) -> None:
        self.change(templates={key: value for key, value in self.state.templates.items() if key != generation})

    def restarts(self, slot: int) -> Restarts:
        return self.state.restarts.get(slot, Restarts())

    def set_restarts(self, slot: int, restarts: Restarts) -> None:
        self.change(restarts={**self.state.restarts, slot: restarts})


def drain_or_kill(draft: Transition, worker: Worker, reason: str) -> None:
    """Remove a live worker: drain it if it serves, kill it at once if it does not yet."""
    if worker.is_ready:
        drain(draft, worker, reason)
    else:
        kill(draft, worker, reason)


def drain_surplus(draft: Transition) -> None:
    """Remove the live workers of slots beyond the target; ready ones stay while other slots have no ready worker."""
    state = draft.state
    surplus = [worker for worker in state.workers.values() if worker.is_live and worker.slot >= state.target]
    missing = state.target - len(state.served_slots())
    kept = [worker for worker in surplus if worker.is_ready][:missing]
    for worker in surplus:
        if worker not in kept:
            drain_or_kill(draft, worker, "scaled down")


def drain(draft: Transition, worker: Worker, reason: str, *, final: bool = False, quick: bool = False) -> None:
    """Drain a worker within its grace period, or at once if `quick`; `final` when no other continues to serve."""
    settings = draft.state.settings
    limit = QUICK_GRACE if quick else settings.drain_timeout
    deadline = min(draft.at + limit, worker.deadline or inf)
    grace = 0.0 if quick else settings.timeout_graceful_shutdown
    draft.worker(
        worker,
        stage=Stage.DRAINING,
        since=draft.at,
        deadline=deadline,
        grace_ends=min(draft.at + grace + GRACE_MARGIN, worker.grace_ends or inf),
        reason=worker.reason or reason,
    )
    draft.do(DrainWorker(worker.id, grace, final, fast=settings.development))


def kill(draft: Transition, worker: Worker, reason: str) -> None:
    reason = worker.reason or reason
    draft.worker(worker, stage=Stage.KILLING, since=draft.at, deadline=draft.at + KILL_TIMEOUT, reason=reason)
    draft.do(KillWorker(worker.id))


def spawn_template(draft: Transition, settings: Settings, *, warm: bool = False) -> int:
    """Start the template of a new generation and return its number."""
    generation = draft.state.next_generation
    deadline = draft.at + settings.timeout_boot
    draft.template(Template(generation, TemplateStage.LOADING, settings, draft.at, deadline, warm=warm))
    draft.change(next_generation=generation + 1)
    draft.do(SpawnTemplate(generation, warm))
    return generation


def stop_template(draft: Transition, template: Template) -> None:
    """Stop a template. A template that is the parent of its workers may stay until they have exited."""
    has_workers = any(worker.generation == template.generation for worker in draft.state.workers.values())
    limit = TEMPLATE_EXIT_TIMEOUT + (template.settings.drain_timeout + KILL_TIMEOUT if has_workers else 0.0)
    draft.template(template, stage=TemplateStage.STOPPING, since=draft.at, deadline=draft.at + limit)
    draft.do(StopTemplate(template.generation))


def template_loaded(draft: Transition, event: TemplateReady) -> Template | None:
    """Record that a template can fork; returns it, None if it is no longer awaited."""
    template = draft.state.templates.get(event.generation)
    if template is None or template.stage is not TemplateStage.LOADING:
        return None
    draft.template(template, stage=TemplateStage.READY, deadline=None, preload=event.preload)
    return template


def update_readiness(draft: Transition) -> None:
    """Record whether some worker is ready, and since when none is."""
    state = draft.state
    if state.ready():
        if not state.was_ready or state.failures or state.unready_since is not None:
            draft.change(was_ready=True, failures=0, unready_since=None)
    elif state.unready_since is None:
        draft.change(unready_since=draft.at)
