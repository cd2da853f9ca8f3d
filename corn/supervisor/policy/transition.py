"""A decision in the making: the state so far and the actions so far. Pure; lives for one call of `decide`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from corn.supervisor.policy.actions import Action, Level, Say
from corn.supervisor.policy.backoff import Restarts
from corn.supervisor.policy.state import State, Template, Worker


class Transition:
    """What the rules write to. `at` is the event's time, the only clock there is."""

    __slots__ = ("actions", "at", "state")

    def __init__(self, state: State, at: float) -> None:
        self.state = state
        self.at = at
        self.actions: list[Action] = []

    def do(self, action: Action) -> None:
        self.actions.append(action)

    def say(self, level: Level, text: str, detail: str = "") -> None:
        self.actions.append(Say(level, text, detail))

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
