"""Sparklines of `corn top`, their time axis and their marks."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from corn.cli.top.chart import Mark, axis, marks, sparkline

AGES = [float(age) for age in range(40, -1, -1)]


def test_sparkline_scales_to_maximum():
    assert sparkline([0.0, 5.0, 10.0], 4, "_-^") == " _-^"
    assert sparkline([], 3, "_-^") == "   "
    assert sparkline([1.0] * 9, 2, "_-^") == "^^"


def test_axis_labels_round_ages():
    shown = axis(AGES, 45)
    assert len(shown) == 45
    assert shown.endswith("      now")
    assert [shown.index(label) + len(label) - 1 for label in ("-40s", "-30s", "-10s")] == [4, 14, 34]


def test_axis_slow_samples_uses_minutes():
    assert "-10m" in axis([each * 60 for each in AGES[-20:]], 30)


def test_axis_single_sample_shows_now():
    assert axis([0.0], 6) == "   now"


def test_mark_stands_at_its_time():
    shown = marks([Mark(20.0, "^gen 2", is_bad=False)], AGES, 41, 80)
    assert shown == " " * 20 + "^gen 2"


def test_mark_at_edge_has_text_on_left():
    assert marks([Mark(1.0, "xgen 3 refused", is_bad=True)], AGES, 41, 41).endswith(" gen 3 refused x")


def test_overlapping_marks_keep_newest_text():
    shown = marks([Mark(12.0, "^gen 2", is_bad=False), Mark(9.0, "^gen 3", is_bad=False)], AGES, 41, 60)
    assert shown == " " * 22 + "gen 2 ^  ^gen 3"
    shown = marks([Mark(12.0 - each, f"^gen {each}", is_bad=False) for each in range(3)], AGES, 41, 60)
    assert shown.strip() == "gen 0 ^^^gen 2"


def test_mark_before_axis_is_left_out():
    assert marks([Mark(41.0, "^gen 2", is_bad=False)], AGES, 41, 80) == ""
    assert marks([Mark(1.0, "^gen 2", is_bad=False)], [], 41, 80) == ""


@given(
    st.lists(st.floats(0, 100), max_size=9),
    st.lists(st.floats(0.01, 90), max_size=60),
    st.integers(2, 59),
    st.integers(0, 20),
)
def test_chart_lines_fit_width(agos, steps, width, more):
    ages = [sum(steps[index:]) for index in range(len(steps) + 1)]
    assert len(axis(ages, width)) <= max(3, width)
    assert len(marks([Mark(ago, "^gen 12", is_bad=False) for ago in agos], ages, width, width + more)) <= width + more
