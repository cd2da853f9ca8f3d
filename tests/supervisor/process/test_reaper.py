"""Exits that are reaped before their process is known."""

import math
import time

from corn.supervisor.policy.state import ProcessExit
from corn.supervisor.process.reaper import Reaper

END = ProcessExit(code=0)


def test_exit_after_spawn_order_is_found_once():
    reaper, ordered = Reaper(), time.monotonic()
    reaper.keep(4711, END)
    assert reaper.has_ended(4711, ordered)
    assert reaper.ended_early(4711, ordered) == END
    assert reaper.ended_early(4711, ordered) is None


def test_exit_before_spawn_order_is_of_other_process():
    reaper = Reaper()
    reaper.keep(4711, END)
    ordered = math.nextafter(time.monotonic(), math.inf)
    assert not reaper.has_ended(4711, ordered)
    assert reaper.ended_early(4711, ordered) is None


def test_oldest_exits_are_forgotten():
    reaper = Reaper()
    for pid in range(1000):
        reaper.keep(pid, END)
    assert not reaper.has_ended(0, 0.0)
    assert reaper.has_ended(999, 0.0)
