"""The master's loop with failing collaborators: it logs each exception and continues."""

import logging
import os
import socket

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corn.errors import ConfigError
from corn.ipc.channel import Channel
from corn.supervisor.children.child import ChildProcess
from corn.supervisor.loop import Loop
from corn.supervisor.policy import actions, events
from corn.supervisor.policy.state import ProcessExit
from tests.support.policy_world import settings_with


class Faulty:
    """Collaborator of every kind that raises in the given places."""

    def __init__(self, faults):
        self.faults = faults

    def _maybe(self, name):
        if name in self.faults:
            raise self.faults[name]

    def next_at(self):
        self._maybe("next_at")
        return 0.0

    def tick(self, now):
        self._maybe("tick")

    def observe(self, before, after, at):
        self._maybe("observe")

    def perform(self, action):
        self._maybe("perform")


KINDS = [actions.SpawnTemplate, actions.StopTemplate, actions.KillTemplate, actions.SpawnWorker, actions.DrainWorker]
KINDS += [actions.KillWorker, actions.AbortWorker, actions.DumpWorker, actions.CloseListeners, actions.LogLine]
KINDS += [actions.Announce, actions.StartSuccessor, actions.StopSuccessor]


def loop_with(faults):
    loop = Loop(settings_with(workers=2))
    faulty = Faulty(faults)
    loop.periodic.append(faulty)
    loop.observers.append(faulty)
    loop.performers.update(dict.fromkeys(KINDS, faulty.perform))
    return loop


@pytest.mark.parametrize("place", ["next_at", "tick", "observe", "perform"])
@pytest.mark.parametrize(
    "fault", [ValueError("x"), OSError(24, "Too many open files"), ConfigError("y"), KeyError(1), RecursionError()]
)
def test_loop_with_failing_collaborator_continues_and_stops(place, fault, caplog):
    caplog.set_level(logging.ERROR, "corn")
    loop = loop_with({place: fault})

    def stop_soon(now):
        loop.handle(events.StopRequested(now, "SIGQUIT"))
        for generation in list(loop.state.templates):
            loop.handle(events.TemplateExited(now, generation, ProcessExit(code=0)))

    stopper = Faulty({})
    stopper.tick = stop_soon
    loop.periodic.append(stopper)
    assert isinstance(loop.run(), int)
    assert type(fault).__name__ in caplog.text or str(fault) in caplog.text


def test_loop_exits_when_stop_raises_in_policy(monkeypatch):
    loop = loop_with({})

    def undecided(state, event):
        raise ZeroDivisionError

    monkeypatch.setattr("corn.supervisor.loop.decide", undecided)
    loop.handle(events.Tick(1.0))
    loop.handle(events.StopRequested(1.0, "SIGTERM"))
    assert loop.run() == 1


def child_of(loop, **receivers):
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    child = ChildProcess("a child", Channel(ours, passes_fds=False), **receivers)
    loop.children.add(child)
    return child, theirs


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(max_size=80), max_size=10))
def test_malformed_child_message_is_reported_once(chunks):
    loop = loop_with({})
    blamed = []

    def fails(message):
        raise RuntimeError(message)

    child, theirs = child_of(loop, on_message=fails, on_invalid_line=blamed.append)
    for chunk in chunks:
        theirs.sendall(chunk)
        loop.children.receive(child)
    assert len(blamed) <= 1
    assert bool(blamed) == (b"\n" in b"".join(chunks))
    loop.children.drop(child)
    theirs.close()
    loop.selector.close()


def test_malformed_message_without_handler_kills_child(tmp_path):
    loop = loop_with({})
    pid = os.posix_spawn("/bin/sleep", ["sleep", "60"], {})
    child, theirs = child_of(loop)
    loop.children.identify(child, pid)
    ends = []
    child.on_exit = ends.append
    theirs.sendall(b"garbage\n")
    loop.children.receive(child)
    assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == 9
    theirs.close()
    loop.children.drop(child)
