"""Exits that are reaped before their process is known."""

import math
import time

from corn.supervisor.policy.state import ProcessExit
from corn.supervisor.process.reaper import Reaper

END = ProcessExit(code=0)


def test_exit_after_spawn_order_is_found_once():
    reaper, requested_at = Reaper(), time.monotonic()
    reaper.keep(4711, END)
    assert reaper.is_kept(4711, requested_at)
    assert reaper.ended_early(4711, requested_at) == END
    assert reaper.ended_early(4711, requested_at) is None


def test_exit_before_spawn_order_is_of_other_process():
    reaper = Reaper()
    reaper.keep(4711, END)
    requested_at = math.nextafter(time.monotonic(), math.inf)
    assert not reaper.is_kept(4711, requested_at)
    assert reaper.ended_early(4711, requested_at) is None


def test_end_of_known_process_is_noted_and_not_kept():
    reaper, before = Reaper(), time.monotonic()
    reaper.note(4711)
    assert reaper.has_ended(4711, before)
    assert not reaper.has_ended(4711, time.monotonic() + 1)
    assert not reaper.is_kept(4711, before)


def test_oldest_exits_are_forgotten():
    reaper = Reaper()
    for pid in range(1000):
        reaper.keep(pid, END)
        reaper.note(pid)
    assert not reaper.is_kept(0, 0.0)
    assert not reaper.has_ended(0, 0.0)
    assert reaper.is_kept(999, 0.0)
    assert reaper.has_ended(999, 0.0)
