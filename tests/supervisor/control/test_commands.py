"""Requests on the control socket, also malformed ones, to a master without processes: each gets one response."""

import json
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corn.config import Config
from corn.errors import ConfigError
from corn.supervisor.control.commands import Commands
from corn.supervisor.policy.decide import decide
from corn.supervisor.projections.history import History
from corn.supervisor.projections.status import About, Reading
from tests.support.policy_world import running

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
KNOWN = ["hello", "status", "reload", "rollback", "scale", "stop", "upgrade", "restart", "drain", "log-level"]
FIELDS = st.sampled_from(["worker", "to", "by", "wait", "now", "level"])


class Reply:
    def __init__(self):
        self.answers = []
        self.condition = None

    def send(self, answer):
        self.answers.append(json.loads(json.dumps(answer)))

    def wait(self, condition):
        self.condition = condition

    def observe(self, before, after):
        outcome = self.condition.check(before, after) if self.condition and not self.answers else None
        if outcome is not None:
            self.send({"ok": outcome.ok})


class Master:
    about = About("0.1", 1, "main:app", ("http://a",), 0.0)
    history = History()

    def __init__(self, reply):
        self.state = running(3).state
        self.reply = reply
        readings = SimpleNamespace(now=lambda workers: {}, exited=Reading())
        self.executor = SimpleNamespace(
            config=Config(), workers={}, templates={}, readings=readings, send_to_all=lambda message: None
        )
        self.fault: Exception | None = None

    def handle(self, event):
        before = self.state
        self.state, _ = decide(before, event)
        self.reply.observe(before, self.state)

    def request(self, at):
        if self.fault is not None:
            raise self.fault


def response_to(request, fault=None):
    reply = Reply()
    master = Master(reply)
    master.fault = fault
    Commands(master, master.executor, None, master, master.about, reopen_logs=str).answer(request, reply)
    return reply


@given(st.sampled_from(KNOWN) | VALUES, st.dictionaries(FIELDS, VALUES, max_size=4))
def test_arbitrary_request_gets_one_response_or_waits(name, fields):
    reply = response_to({"do": name, **fields})
    assert len(reply.answers) == 1 or (not reply.answers and reply.condition is not None)
    if reply.answers and not reply.answers[0]["ok"]:
        assert reply.answers[0]["error"]
        assert "internal error" not in reply.answers[0]["error"]


def test_exception_in_command_is_reported_and_contained(caplog):
    assert response_to({"do": "reload"}, ConfigError("bad")).answers == [{"ok": False, "error": "bad"}]
    (answer,) = response_to({"do": "reload"}, RuntimeError("a bug")).answers
    assert answer == {"ok": False, "error": "internal error; see the log of the service"}


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        ({"do": "nope"}, "unknown request; expected one of hello, status,"),
        ({"do": "scale", "to": 0}, "the number of workers must be from 1 to 512, not 0"),
        ({"do": "scale", "to": True}, "'to' must be a whole number"),
        ({"do": "restart"}, "'worker' must be a whole number"),
        ({"do": "drain", "worker": 17}, "there is no worker 17; give the number or the process id"),
        ({"do": "log-level", "level": "loud"}, "invalid log level 'loud'; expected one of debug, info"),
        ({"do": "rollback"}, "no previous generation is kept in memory"),
    ],
)
def test_impossible_command_reports_reason(request_, error):
    (answer,) = response_to(request_).answers
    assert not answer["ok"]
    assert answer["error"].startswith(error)
