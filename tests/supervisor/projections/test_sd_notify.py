"""sd_notify datagrams; driven by the policy itself, over random events."""

from __future__ import annotations

import re

from hypothesis import HealthCheck, settings
from hypothesis.stateful import invariant

from corn.supervisor.policy import events
from corn.supervisor.policy.state import Phase, ProcessExit
from corn.supervisor.projections.sd_notify import is_healthy, notices, refused_reload
from tests.supervisor.policy.test_decide_properties import Master
from tests.support.policy_world import World, running, settings_with


class Listening(World):
    """World that records the datagrams of each event and holds the service manager's view of the service."""

    def happens(self, event):
        before = self.state
        asked = super().happens(event)
        for notice in notices(before, self.state, event.at):
            self.received = [*getattr(self, "received", []), notice]
        return asked


def received(world, name):
    return [each for each in getattr(world, "received", []) if each.startswith(name)]


def started(workers=2, **more) -> Listening:
    world = Listening(settings_with(workers=workers, **more))
    world.start()
    world.settle()
    return world


def test_start_sends_progress_and_ready_once():
    world = started()
    assert received(world, "READY") == ["READY=1"]
    assert received(world, "STATUS")[0] == "STATUS=starting: 0 of 2 workers are ready"
    assert received(world, "STATUS")[-1] == "STATUS=serving: 2 workers, generation 1"


def test_start_extends_timeout_by_boot_timeout():
    world = started(timeout_boot=100)
    times = [int(each.removeprefix("EXTEND_TIMEOUT_USEC=")) for each in received(world, "EXTEND")]
    assert times[0] == 105_000_000
    assert all(0 < each <= 105_000_000 for each in times)


def test_reload_sends_reloading_then_ready():
    world = started(soak=1.0)
    world.hup()
    assert world.received[-2] == f"RELOADING=1\nMONOTONIC_USEC={int(world.now * 1e6)}"
    assert received(world, "READY") == ["READY=1"]
    world.settle()
    world.passes(5)
    world.settle()
    assert world.state.current == 2
    assert received(world, "READY") == ["READY=1"] * 2


def test_queued_reload_sends_its_own_reloading():
    world = started()
    world.hup()
    world.now += 1
    world.hup()
    world.now += 1
    world.template_fails(2)
    assert len(received(world, "RELOADING")) == 2
    assert received(world, "RELOADING")[1].endswith(str(int(world.now * 1e6)))
    world.template_fails(3)
    assert world.received[-2:] == ["READY=1", "STATUS=serving: 2 workers, generation 1; last error: it broke"]


def test_reload_refused_by_config_sends_reloading_and_ready():
    world = running(1)
    begins, ends = refused_reload(world.state, 7.0, "corn.toml: line 1\nis wrong")
    assert begins == "RELOADING=1\nMONOTONIC_USEC=7000000"
    assert ends == "READY=1\nSTATUS=reload refused: corn.toml: line 1 is wrong"


def test_drain_delay_sends_stopping_once():
    world = started(drain_delay=10)
    world.signal("SIGTERM")
    assert received(world, "STOPPING") == ["STOPPING=1"]
    assert "EXTEND_TIMEOUT_USEC=15000000" in world.received
    world.passes(10)
    world.settle()
    assert received(world, "STOPPING") == ["STOPPING=1"]
    assert world.exit_code == 0


def test_reload_ending_in_drain_delay_sends_no_ready():
    world = started(drain_delay=10)
    world.hup()
    world.signal("SIGTERM")
    world.template_fails(2)
    assert received(world, "READY") == ["READY=1"]


def test_upgrade_sends_no_stopping():
    world = started()
    world.usr2()
    world.happens(events.SuccessorReady(world.now))
    world.settle()
    assert received(world, "STOPPING") == []


def test_health_requires_ready_or_booting_worker():
    world = Listening(settings_with(workers=1))
    assert not is_healthy(world.state)
    world.start()
    assert is_healthy(world.state)
    world.settle()
    assert is_healthy(world.state)
    for _ in range(4):
        if world.workers:
            worker = next(iter(world.workers))
            world.boots(worker)
            world.exits(worker, ProcessExit(signal="SIGSEGV"))
    assert not world.workers
    assert not is_healthy(world.state)


class NotifyMachine(Master):
    """Random events; the view of the service manager must agree with the master's after each step."""

    kind = Listening

    @invariant()
    def the_managers_view_is_right(self):
        view = "starting"
        for notice in getattr(self.world, "received", []):
            assert re.fullmatch(r"[A-Z_]+=[^\n]+(\n[A-Z_]+=[^\n]+)?", notice), notice
            word = notice.partition("=")[0]
            if word in ("READY", "RELOADING", "STOPPING"):
                assert view != "STOPPING", "nothing follows STOPPING"
                assert not (word == view == "READY")
                view = word
        phase = self.world.state.phase
        if phase in (Phase.STOPPING, Phase.STOPPED) or self.world.state.stop_at is not None:
            assert view == "STOPPING"
        else:
            assert view == {"running": "READY", "reloading": "RELOADING", "starting": "starting"}[phase.value]


TestNotifyMachine = NotifyMachine.TestCase
TestNotifyMachine.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


def test_reload_refused_outside_of_running_phase_sends_no_notice():
    world = World(settings_with())
    world.start()
    assert list(refused_reload(world.state, world.now, "no file")) == []
