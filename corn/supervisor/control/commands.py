"""Handlers of control socket requests: each request becomes an event, and the reply is taken from the new state.

A request is parsed here and decided by the policy, as a signal is. The reply is sent at once or, if the request sets
`wait`, when the requested change is complete or has failed (projections/wait_conditions.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

from corn import logs
from corn.config.sections.logs import Levels
from corn.errors import ConfigError
from corn.ipc.messages import SetLogLevel
from corn.ipc.scoreboard import LATENCY_BOUNDS
from corn.supervisor.configuration.reload import ConfigReloader
from corn.supervisor.configuration.running import reload_changes, running_configuration
from corn.supervisor.control.server import Reply
from corn.supervisor.executor import Executor
from corn.supervisor.loop import Loop
from corn.supervisor.monitoring.stack_dumps import Found, WorkerQueries
from corn.supervisor.policy import events
from corn.supervisor.policy.events import Event
from corn.supervisor.policy.operator_requests import BY_COMMAND, MAX_WORKERS
from corn.supervisor.policy.state import Phase, State, Worker
from corn.supervisor.projections import wait_conditions as waiting
from corn.supervisor.projections.status import About, Observed, condition, status_of

PROTOCOL = 1


class Refused(Exception):  # noqa: N818 - a reply to the client, not a fault of corn
    """Request that cannot be carried out; the message is shown to the operator."""


class WrongArgument(Refused):
    """Request that names something that does not exist, or a number out of range."""


class Commands:
    """Dispatcher of requests to their handlers."""

    def __init__(
        self,
        loop: Loop,
        executor: Executor,
        queries: WorkerQueries,
        reloader: ConfigReloader,
        about: About,
        *,
        reopen_logs: Callable[[], str],
    ) -> None:
        self._loop = loop
        self._executor = executor
        self._queries = queries
        self._reloader = reloader
        self._about = about
        self._reopen_logs = reopen_logs
        self._known: dict[str, Callable[[dict[str, Any], Reply], None]] = {
            "hello": self._hello,
            "status": self._status,
            "reload": self._reload,
            "rollback": self._rollback,
            "scale": self._scale,
            "stop": self._stop,
            "upgrade": self._upgrade,
            "restart": self._restart,
            "drain": self._drain,
            "stacks": self._stacks,
            "requests": self._requests,
            "log-level": self._log_level,
            "reopen-logs": self._reopen,
            "config": self._config,
        }

    def answer(self, request: dict[str, Any], reply: Reply) -> None:
        """Carry out a request; every request gets a reply, even an invalid one."""
        command = self._known.get(str(request.get("do")))
        try:
            if command is None:
                raise Refused(f"unknown request; expected one of {', '.join(self._known)}")
            command(request, reply)
        except (Refused, ConfigError) as refusal:
            wrong = {"usage": True} if isinstance(refusal, WrongArgument) else {}
            reply.send({"ok": False, "error": str(refusal), **wrong})
        except Exception:  # no request may end the master
            logs.logger.exception("internal error: the request %.200r failed", request)
            reply.send({"ok": False, "error": "internal error; see the log of the service"})

    # Read-only requests

    def _hello(self, request: dict[str, Any], reply: Reply) -> None:
        del request
        about, state = self._about, self._state
        facts = {name: value for name, value in asdict(about).items() if name != "began"}
        facts["uptime"] = time.monotonic() - about.began
        reply.send({"ok": True, "protocol": PROTOCOL, "phase": condition(state, time.monotonic())[0], **facts})

    def _status(self, request: dict[str, Any], reply: Reply) -> None:
        del request
        reply.send({"ok": True, "status": self.status()})

    def status(self) -> dict[str, Any]:
        """Fields of the current Status."""
        executor, loop = self._executor, self._loop
        observed = Observed(
            readings=executor.readings.now(executor.workers),
            exited=executor.readings.exited,
            template_pids={each.generation: each.pid for each in executor.templates.values() if each.pid is not None},
            log_level=executor.config.log_level,
            latency_bounds=LATENCY_BOUNDS,
        )
        return asdict(status_of(self._about, loop.state, loop.history, observed, time.monotonic()))

    def _stacks(self, request: dict[str, Any], reply: Reply) -> None:
        workers = self._requested_workers(request)

        def reply_with(found: Found) -> None:
            answers = [{**_named(each), "stacks": found[each.id]} for each in workers if each.id in found]
            reply.send({"ok": True, "workers": answers})

        self._queries.stacks([each.id for each in workers], reply_with)

    def _requests(self, request: dict[str, Any], reply: Reply) -> None:
        workers = self._requested_workers(request)

        def reply_with(found: Found) -> None:
            answers = [{**_named(each), "requests": found[each.id]} for each in workers if each.id in found]
            reply.send({"ok": True, "workers": answers})

        self._queries.requests([each.id for each in workers], reply_with)

    def _log_level(self, request: dict[str, Any], reply: Reply) -> None:
        """Reply with the level, or change it until the next reload."""
        executor, wanted = self._executor, request.get("level")
        if wanted is not None:
            try:
                levels = Levels().parse(wanted)
            except ValueError as error:
                raise Refused(f"invalid log level {wanted!r}; {error}") from None
            executor.config, executor.log_level_override = replace(executor.config, log_level=levels), levels
            logs.set_level(levels)
            executor.send_to_all(SetLogLevel(levels))
        reply.send({"ok": True, "level": executor.config.log_level, "text": f"log level {executor.config.log_level}"})

    def _config(self, request: dict[str, Any], reply: Reply) -> None:
        """Reply with the configuration in force, or with the changes of a reload if the request says `diff`."""
        parts = self._executor, self._state, self._reloader
        if not request.get("diff"):
            reply.send({"ok": True, "file": self._about.config_file or None, "options": running_configuration(*parts)})
            return
        changes, refusal = reload_changes(*parts)
        reply.send({"ok": True, "file": self._about.config_file or None, "changes": changes, "refused": refusal})

    def _reopen(self, request: dict[str, Any], reply: Reply) -> None:
        del request
        if refusal := self._reopen_logs():
            raise Refused(f"cannot reopen the log, which continues in the old file: {refusal}")
        reply.send({"ok": True, "text": "log files are reopened"})

    def _requested_workers(self, request: dict[str, Any]) -> list[Worker]:
        """Worker that a request names, or all workers."""
        if request.get("worker") is not None:
            return [self._worker(_whole(request, "worker"))]
        return sorted(self._state.workers.values(), key=lambda each: (each.slot, each.id))

    # Requests that change something

    def _reload(self, request: dict[str, Any], reply: Reply) -> None:
        self._refuse_if_stopping()
        if request.get("wait"):
            reply.wait(self._reloaded())
        self._reloader.request(time.monotonic())
        if not request.get("wait"):
            reply.send({"ok": True, "text": "reloading"})

    def _rollback(self, request: dict[str, Any], reply: Reply) -> None:
        state = self._state
        if state.phase is not Phase.RUNNING:
            raise Refused(f"no rollback is possible while corn is {state.phase.value}")
        if state.previous is None or not state.can_fork(state.previous):
            raise Refused("no previous generation is kept in memory; see --rollback-window")
        until = waiting.AllServedBy(state.previous, f"rolled back: generation {state.previous} serves")
        event = events.RollbackRequested(time.monotonic())
        self._do(event, request, reply, until, f"rolling back to generation {state.previous}")

    def _scale(self, request: dict[str, Any], reply: Reply) -> None:
        self._refuse_if_stopping()
        before = self._state.target
        target = _whole(request, "to") if "to" in request else before + _whole(request, "by")
        if not 1 <= target <= MAX_WORKERS:
            raise WrongArgument(f"the number of workers must be from 1 to {MAX_WORKERS}, not {target}")
        event = events.ScaleRequested(time.monotonic(), target - before)
        text = f"scaling from {before} to {target} workers" if target != before else f"{before} workers already"
        self._do(event, request, reply, waiting.Scaled(target), text)

    def _stop(self, request: dict[str, Any], reply: Reply) -> None:
        now = bool(request.get("now"))
        delay = self._state.settings.drain_delay if self._state.stop_at is None else 0.0
        when = f"stopping, after --drain-delay ({delay:g} s)" if delay else "stopping"
        text = "stopping at once" if now else f"{when}; in-flight requests may finish"
        event = events.StopRequested(time.monotonic(), "SIGQUIT" if now else "SIGTERM", BY_COMMAND)
        self._do(event, request, reply, waiting.Stopped(), text)

    def _upgrade(self, request: dict[str, Any], reply: Reply) -> None:
        state = self._state
        self._refuse_if_stopping()
        if state.upgrading or state.phase not in (Phase.RUNNING, Phase.RELOADING):
            raise Refused("upgrade refused: another is under way, or corn is starting or stopping")
        event = events.UpgradeRequested(time.monotonic())
        self._do(event, request, reply, waiting.HandedOver(), "upgrading: starting a new master")

    def _restart(self, request: dict[str, Any], reply: Reply) -> None:
        self._refuse_if_stopping()
        slot = self._slot(_whole(request, "worker"))
        until = waiting.Replaced(slot, frozenset(each.id for each in self._state.in_slot(slot)))
        event = events.RestartRequested(time.monotonic(), slot)
        self._do(event, request, reply, until, f"replacing worker {slot}")

    def _drain(self, request: dict[str, Any], reply: Reply) -> None:
        self._refuse_if_stopping()
        worker = self._worker(_whole(request, "worker"))
        if not worker.is_ready:
            raise Refused(f"{worker} is {worker.stage.value} and accepts no connections")
        until = waiting.Exited(worker.id, str(worker))
        event = events.DrainRequested(time.monotonic(), worker.id)
        self._do(event, request, reply, until, f"draining {worker}")

    def _reloaded(self) -> waiting.WaitCondition:
        if self._state.settings.development:
            return waiting.CodeReloaded(self._state.revision + 1)
        return waiting.Reloaded(self._state.next_generation)

    def _do(self, event: Event, request: dict[str, Any], reply: Reply, until: waiting.WaitCondition, text: str) -> None:
        """Pass an event to the policy; reply with `text` now or, if the request waits, once `until` is met."""
        if not request.get("wait"):
            reply.send({"ok": True, "text": text})
            self._loop.handle(event)
            return
        reply.wait(until)
        self._loop.handle(event)
        reply.observe(self._state, self._state)  # the condition may be met already

    @property
    def _state(self) -> State:
        return self._loop.state

    def _refuse_if_stopping(self) -> None:
        if self._state.phase in (Phase.STOPPING, Phase.STOPPED) or self._state.stop_at is not None:
            raise Refused("the service is stopping")

    def _slot(self, number: int) -> int:
        """Slot with this number, or the slot of the worker with this process id."""
        return number if 0 <= number < self._state.target else self._worker(number).slot

    def _worker(self, number: int) -> Worker:
        """Worker that serves in the slot with this number, or has this process id."""
        workers = list(self._state.workers.values())
        found = [each for each in workers if each.slot == number and each.is_live]
        found = sorted(found, key=lambda each: not each.is_ready) or [each for each in workers if each.pid == number]
        if not found:
            raise WrongArgument(
                f"there is no worker {number}; give the number or the process id of one that 'corn status' shows"
            )
        return found[0]


def _named(worker: Worker) -> dict[str, Any]:
    return {"slot": worker.slot, "generation": worker.code, "pid": worker.pid, "stage": worker.stage.value}


def _whole(request: dict[str, Any], name: str) -> int:
    value = request.get(name)
    if isinstance(value, bool) or not isinstance(value, int):
        raise Refused(f"'{name}' must be a whole number")
    return value
