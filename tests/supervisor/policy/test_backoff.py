"""Figures of the restart backoff."""

import pytest

from corn.supervisor.policy.backoff import Restarts, after_crash, after_kill, delay_after


@pytest.mark.parametrize(
    ("streak", "spread", "seconds"),
    [
        (0, 0, 0.25),
        (1, 0, 0.5),
        (2, 0, 1.0),
        (6, 0, 16.0),
        (7, 0, 30.0),
        (100_000, 0, 30.0),
        (1, 1, 0.6),
        (7, 0.5, 33.0),
    ],
)
def test_delay_doubles_up_to_30_s_and_spreads_by_fifth(streak, spread, seconds):
    assert delay_after(streak, spread) == pytest.approx(seconds)
    if spread == 0:
        assert delay_after(streak) == seconds


def test_first_crash_of_ready_worker_is_replaced_at_once():
    first = after_crash(Restarts(), 100.0, 5.0, 0.0)
    assert (first.streak, first.not_before) == (1, 100.0)
    second = after_crash(first, 101.0, 0.5, 1.0)
    assert (second.streak, second.not_before) == (2, pytest.approx(101.3))


def test_worker_that_was_never_ready_is_delayed_from_first_failure():
    assert after_crash(Restarts(), 100.0, None, 0.0).not_before == 100.25
    assert after_crash(Restarts(streak=3), 100.0, None, 0.0).not_before == 102.0


@pytest.mark.parametrize(("ready_for", "streak"), [(59.9, 6), (60.0, 1), (61.0, 1)])
def test_streak_is_forgotten_after_minute(ready_for, streak):
    assert after_crash(Restarts(streak=5), 100.0, ready_for, 0.0).streak == streak


def test_ten_kills_in_ten_seconds_are_forgiven_and_next_is_crash():
    restarts = Restarts(streak=2)
    for number in range(10):
        restarts = after_kill(restarts, 100.0 + number / 10, 1.0, 0.0)
        assert (restarts.streak, restarts.not_before) == (2, 100.0 + number / 10)
    restarts = after_kill(restarts, 102.0, 1.0, 0.0)
    assert (restarts.streak, restarts.not_before) == (3, 102.5)
    assert len(restarts.kills) == 11


def test_kill_of_ten_seconds_ago_no_longer_counts():
    kills = tuple(100.0 + number / 100 for number in range(10))
    restarts = after_kill(Restarts(kills=kills), 110.0, 1.0, 0.0)
    assert restarts.kills == (*kills[1:], 110.0)
    assert restarts.not_before == 110.0
