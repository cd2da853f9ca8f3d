"""View and keys of `corn top`, without an instance and without a terminal."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corn.cli.top.keys import Interaction, Request
from corn.cli.top.model import Sample, quantile, view_of
from corn.cli.top.terminal import keys_in
from corn.cli.top.view import PLAIN, Area, latency, lines, rate
from corn.ipc.scoreboard import LATENCY_BOUNDS
from corn.supervisor.projections.status import Reading
from tests.cli.conftest import DEADLINE
from tests.support.environment import clean_environment

SHOW_AFTER_HANGUP = """
import sys
from rich.text import Text
from corn.cli.top.terminal import Terminal

def session():
    while not terminal.is_ended:
        terminal.keys(1)
    terminal.show([Text("a line")])

terminal = Terminal()
sys.exit(not terminal.run(session))
"""

KEYS = ["r", "b", "+", "-", "d", "x", "s", "a", "y", "n", "q", "j", "k", "up", "down", "escape", "pagedown", "é"]


def counted(requests=0, *, bucket=0, failed=0):
    """Counters of a worker with `requests` requests, all in one latency bucket."""
    latency = [0] * 16
    latency[bucket] = requests
    reading = Reading(requests=requests, statuses=(0, 0, requests - failed, 0, 0, failed, 0, 0), latency=tuple(latency))
    return {name: getattr(reading, name) for name in Reading.__slots__}


def worker(slot, requests=0, *, number=None, stage="ready", silent=0.1, pid=None, busy=0.03):
    return {
        "slot": slot, "worker": number or slot + 1, "generation": 3, "pid": pid or 100_000 + slot, "stage": stage,
        "age": 100.0, "in_stage": 90.0, "silent": silent, "busy": busy, "reason": "", "counted": counted(requests),
    }  # fmt: skip


def status(workers, *, requests=0, failed=0, slots=(), **more):
    return {
        "version": "0.1.0", "pid": 99, "uptime": 100.0, "app": "shop:app", "addresses": ["http://127.0.0.1:8000"],
        "phase": "serving", "reason": "", "generation": 3, "rollback_to": None, "rollback_for": 0.0,
        "target": len(workers), "ready": len(workers), "last_error": "", "latency_bounds": LATENCY_BOUNDS,
        "counted": counted(requests, failed=failed), "workers": workers, "slots": slots, "templates": [],
        "recent_reloads": [], **more,
    }  # fmt: skip


def sample(at, workers, **more):
    pids = [each["pid"] for each in workers]
    return Sample(at, status(workers, **more), dict.fromkeys(pids, at / 4), dict.fromkeys(pids, 9 << 20))


def reload(number, outcome="done", *, ago=5.0, error="", generation=4):
    fields = {"number": number, "generation": generation, "outcome": outcome, "error": error}
    return fields | {"ago": ago, "took": 1.0}


def screen(view, interaction=None, width=80, height=24, **more):
    return [line.plain.rstrip() for line in lines(view, interaction or Interaction(), Area(width, height, **more))]


def test_rate_and_cpu_cover_last_interval():
    row = view_of([sample(0.0, [worker(0, 10)]), sample(2.0, [worker(0, 110)])]).rows[0]
    assert row.traffic.rate == 50.0
    assert row.cpu == 25.0
    assert row.pss == 9 << 20


def test_rate_of_single_sample_is_unknown():
    view = view_of([sample(0.0, [worker(0, 10)], requests=10)])
    assert (view.rows[0].traffic.rate, view.rows[0].traffic.p50, view.rows[0].cpu, view.errors) == (None,) * 4


def test_rate_of_replaced_worker_is_unknown():
    row = view_of([sample(0.0, [worker(0, 5000)]), sample(1.0, [worker(0, 7, number=9)])]).rows[0]
    assert row.traffic.rate is None


def test_error_share_covers_window():
    assert view_of([sample(0.0, [], requests=100), sample(1.0, [], requests=200, failed=5)]).errors == 0.05


def test_lag_of_blocked_worker_is_heartbeat_age():
    assert view_of([sample(0.0, [worker(0, stage="stuck", silent=7.0)])]).rows[0].lag == 7.0


def test_quantile_is_within_its_bucket():
    assert quantile([0] * 16, LATENCY_BOUNDS, 0.5) is None
    assert quantile([0, 10, *[0] * 14], LATENCY_BOUNDS, 0.5) == pytest.approx(0.00075)
    assert quantile([0] * 15 + [3], LATENCY_BOUNDS, 0.5) == 30.0


@given(st.lists(st.integers(0, 1000), min_size=16, max_size=16), st.floats(0.01, 1.0), st.floats(0.01, 1.0))
def test_quantiles_are_monotonic(buckets, one, other):
    low, high = (quantile(buckets, LATENCY_BOUNDS, share) for share in sorted((one, other)))
    assert (low is None) == (sum(buckets) == 0)
    assert low is None or 0.0 < low <= high <= 30.0


@given(st.floats(0.0, 29.9), st.floats(0.0, 900_000.0))
def test_figures_have_bounded_width(seconds, count):
    assert len(latency(seconds)) <= 5
    assert len(rate(count)) <= 6


def test_screen_shows_workers_and_restart_reasons():
    slots = [
        {"slot": 0, "restarts": 2, "reason": "crashed: killed by SIGKILL " + "x " * 40, "ago": 4.0, "starts_in": 0}
    ]
    shown = screen(
        view_of([sample(0.0, [worker(0), worker(1)]), sample(1.0, [worker(0, 312), worker(1)], slots=slots)])
    )
    assert shown[0] == f"{'corn 0.1.0 serves shop:app at http://127.0.0.1:8000':<70}  up 1m40s"
    assert shown[1] == "serving, generation 3, 2/2 ready"
    assert " ".join(shown[7].split()) == "W STATE GEN PID REQ/S P50 P99 ACT BUSY LAG CPU% PSS AGE RST"
    assert shown[8].split()[:5] == [">0", "ready", "3", "100000", "312"]
    assert shown[8].split()[-8:] == ["0.5ms", "0", "3%", "0.0ms", "25", "9.0M", "1m40s", "2"]
    assert shown[11].startswith("worker 0 was restarted 2 times, last 4.0s ago: crashed: killed by SIGKILL")
    assert shown[12].startswith("  x x")
    assert len(shown) == 24


def test_long_worker_list_shows_selected_worker():
    view = view_of([sample(0.0, [worker(slot) for slot in range(64)])])
    shown = screen(view, Interaction(worker=51, slot=50))
    assert any(line.startswith(">50 ") for line in shown)
    seen = [line for line in shown[8:] if " ready " in line]
    assert f"  {64 - len(seen)} more" in shown


def test_selection_follows_worker_when_rows_change():
    interaction = Interaction()
    interaction.press("down", [(1, 0), (2, 1), (3, 2)])
    assert interaction.index([(1, 0), (2, 1), (3, 2)]) == 1
    assert interaction.index([(4, 0), (1, 0), (5, 1), (2, 1), (3, 2)]) == 3
    assert interaction.index([(4, 0), (5, 1), (6, 2)]) == 1
    assert interaction.index([(4, 0)]) == 0


def test_refused_reload_is_shown_until_acknowledged():
    why = "ModuleNotFoundError: No module named 'shop'"
    reloads = [reload(1), reload(2, "refused", error=why, generation=5)]
    view = view_of([sample(0.0, [worker(0)], recent_reloads=reloads, last_error=why)])
    interaction = Interaction()
    shown = screen(view, interaction)
    assert f"RELOAD REFUSED 5.0s ago: generation 5: {why}" in " ".join(line.strip() for line in shown)
    assert "generation 3 still serves; the log has the whole error (a: acknowledge)" in shown
    assert not any(line.startswith("last error") for line in shown)
    interaction.press("a", [], view.refused.key)
    assert "REFUSED" not in "".join(screen(view, interaction))
    again = view_of([sample(0.0, [worker(0)], recent_reloads=[*reloads, reload(3, "refused", error="again")])])
    assert "RELOAD REFUSED" in "".join(screen(again, interaction))


def test_refused_reload_without_ready_worker_says_that_none_is_ready():
    reloads = [reload(1, "refused", error="no")]
    shown = view_of([sample(0.0, [worker(0, stage="booting")], recent_reloads=reloads)]).refused.serves
    assert shown == "generation 3 has no ready worker"


@pytest.mark.parametrize("last", [reload(2), reload(2, "rolled back")])
def test_refused_reload_is_forgotten_after_success_or_rollback(last):
    reloads = [reload(1, "refused", error="no"), last]
    assert view_of([sample(0.0, [worker(0)], recent_reloads=reloads)]).refused is None


def test_refused_configuration_is_named():
    reloads = [reload(1, "refused", error="port cannot change", generation=None)]
    shown = screen(view_of([sample(0.0, [worker(0)], recent_reloads=reloads)]))
    assert "RELOAD REFUSED 5.0s ago: the configuration: port cannot change" in shown


def test_reloads_are_marked_below_time_axis():
    samples = [sample(float(at), [worker(0, 10 * at)], requests=10 * at) for at in range(40)]
    reloads = [reload(1, ago=30.0, generation=2), reload(2, "refused", ago=10.0, error="no", generation=3)]
    last = sample(40.0, [worker(0, 400)], requests=400, recent_reloads=reloads)
    shown = screen(view_of([*samples, last]), Interaction(acknowledged=(99, 2)))
    chart, axis, marks = shown[4:7]
    assert chart.endswith("█ max 10")
    now = axis.index("now") + 2
    assert chart[now] == "█"
    assert axis.index("-20s") + 3 == now - 20
    assert marks.index("^gen 2") == now - 30
    assert marks.index("xgen 3 refused") == now - 10


@pytest.mark.parametrize("stage", ["ready", "draining"])
def test_screen_80_columns_crops_nothing(stage):
    workers = [worker(slot, 10**7, pid=4_194_300 + slot, stage=stage, busy=1.0) for slot in range(2)]
    few = [each | {"counted": counted(0)} for each in workers]
    phase = {"reason": "1 of 2 workers run generation 12, soaking", "rollback_to": 11, "rollback_for": 280.0}
    shown = screen(view_of([sample(0.0, few), sample(1.0, workers, phase="reloading", **phase)]))
    assert all(len(line) <= 80 for line in shown)
    assert "2/2 ready" in "".join(shown[1:3])
    row = next(line for line in shown if line.startswith(">0"))
    assert row.split()[1:5] == [stage, "3", "4194300", "10.0M"]
    assert row.endswith(" 0")


def test_stacks_page_wraps_long_lines():
    interaction = Interaction()
    file = f'  File "/srv/{"long/" * 20}main.py", line 4711, in read_root'
    interaction.show(f"worker 0\n{file}\n    await asyncio.sleep(1)")
    shown = screen(None, interaction)
    assert "line 4711" in "".join(shown)
    assert "".join(line.strip() for line in shown[1:4]).replace(" ", "").startswith(file.replace(" ", ""))


def test_lost_instance_is_shown():
    assert screen(None, lost="not running")[0] == "NO RESPONSE: not running; retrying"
    view = view_of([sample(0.0, [worker(0)])])
    assert screen(view, lost="not running")[1].startswith("corn 0.1.0")


def test_control_characters_are_replaced():
    hostile = view_of([sample(0.0, [worker(0)], last_error="no\x1b[2J\nmore")])
    assert "last error: no?[2J more" in screen(hostile)


def test_terminal_without_utf8_gets_ascii():
    view = view_of([sample(at, [worker(0, int(at * at))], requests=int(at * at)) for at in range(9)])
    assert "".join(screen(view, sparks=PLAIN)).isascii()


@given(st.integers(10, 200), st.integers(1, 60), st.integers(0, 40), st.integers(0, 100))
def test_screen_fits_terminal_size(width, height, count, selected):
    workers = [worker(slot, 10**6 * slot) for slot in range(count)]
    view = view_of([sample(0.0, [worker(slot) for slot in range(count)]), sample(1.0, workers, last_error="x " * 300)])
    shown = lines(view, Interaction(slot=selected), Area(width, height))
    assert len(shown) <= max(2, height)
    assert all(line.cell_len <= width for line in shown)


def test_key_that_changes_service_asks_for_confirmation():
    interaction = Interaction()
    rows = [(1, 0), (5, 4)]
    assert interaction.press("down", rows) is None
    assert interaction.press("d", rows) is None
    assert "drain worker 4? y/n" in screen(None, interaction)
    order = interaction.press("y", rows)
    assert (order.do, order.fields) == ("drain", {"worker": 4, "wait": True})
    assert interaction.press("r", rows) is None
    assert interaction.press("n", rows) is None
    assert interaction.message == "cancelled"


def test_stacks_key_shows_scrollable_page():
    interaction = Interaction()
    rows = [(4, 3)]
    assert interaction.press("s", rows) == Request("stacks", "", {"worker": 3})
    interaction.show("\n".join(f"line {number}" for number in range(100)))
    interaction.press("pagedown", rows)
    assert screen(None, interaction)[0] == "line 10"
    interaction.press("q", rows)
    assert interaction.page is None
    assert not interaction.is_over


@given(st.lists(st.sampled_from(KEYS)), st.lists(st.tuples(st.integers(1, 99), st.integers(0, 9))))
def test_orders_require_confirmation(keys, rows):
    interaction = Interaction()
    for key in keys:
        order = interaction.press(key, rows)
        assert order is None or key == "y" or order.do == "stacks"
        assert interaction.page is None


def test_key_sequences_are_decoded():
    assert keys_in(b"j\x1b[Aq\x1b[6~\x1b") == ["j", "up", "q", "pagedown", "escape"]


def test_top_without_terminal_exits_2(corn):
    done = corn("top")
    assert done.returncode == 2
    assert done.stderr == "corn: corn top needs a terminal with cursor control; use 'corn status' instead\n"


def test_terminal_that_hangs_up_during_output_causes_no_message():
    terminal, slave = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", SHOW_AFTER_HANGUP],
        env=clean_environment(TERM="xterm"),
        stdin=slave,
        stdout=slave,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        os.close(slave)
        os.read(terminal, 1)  # it is taking the screen
        os.close(terminal)
        assert process.communicate(timeout=DEADLINE) == (None, "")
    assert process.returncode == 1


def test_missing_top_extra_is_named(monkeypatch):
    from corn.cli.group import corn

    monkeypatch.delitem(sys.modules, "rich.console")
    monkeypatch.setitem(sys.modules, "rich", None)
    with pytest.raises(Exception, match=r"needs rich, the extra 'top': pip install rich"):
        corn.main(["top"], standalone_mode=False)
