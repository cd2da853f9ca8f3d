"""Debouncing of changes, and the pace of reloads."""

from hypothesis import given
from hypothesis import strategies as st

from corn.reload.debounce import FEW, Batch, Pace


def batch_of(files, *, at=100.0, deleted=0, packages=0):
    batch = Batch()
    for number in range(files):
        batch.changed[f"/{number}.py"] = 1.0
    batch.deleted = {f"/{number}.py" for number in range(deleted)}
    batch.packages = {f"/site-packages/{number}.dist-info" for number in range(packages)}
    batch.add(at)
    return batch


def test_single_save_is_passed_on_immediately():
    assert batch_of(1).due(checkout=False) == 100.0


def test_many_files_wait_for_quiet_period():
    batch = batch_of(FEW + 1)
    first = batch.due(checkout=False)
    assert first > 100.0
    batch.add(100.05)
    assert batch.due(checkout=False) > first


def test_deleted_file_waits_for_possible_return():
    assert batch_of(1, deleted=1).due(checkout=False) > 100.0


def test_git_checkout_and_installer_are_waited_for():
    assert batch_of(1).due(checkout=True) > 100.0
    assert batch_of(0, packages=1).due(checkout=False) > batch_of(1).due(checkout=True)


@given(st.integers(0, 50), st.booleans(), st.lists(st.floats(0, 0.5), max_size=100), st.integers(0, 2))
def test_debounce_of_continuous_saves_ends(files, checkout, pauses, packages):
    batch = batch_of(files, packages=packages)
    at = 100.0
    for pause in pauses:
        at += pause
        batch.add(at)
    assert batch.due(checkout=checkout) <= 120.0
    assert batch.due(checkout=checkout) <= at + 1.0


def test_separate_saves_do_not_wait():
    pace = Pace()
    for at in (100.0, 101.0, 102.0, 102.7):
        assert pace.due(batch_of(1, at=at), checkout=False) == at
        pace.passed_on(batch_of(1, at=at), at)
        pace.reloaded(at + 0.04)


def test_saves_served_in_between_do_not_wait():
    pace = Pace()
    pace.passed_on(batch_of(1), 100.0)
    pace.reloaded(100.04)
    assert pace.due(batch_of(1, at=100.1), checkout=False) == 100.1


def test_save_during_reload_waits_for_its_end_and_quiet():
    pace = Pace()
    pace.passed_on(batch_of(1), 100.0)
    batch = batch_of(1, at=100.1)
    assert pace.due(batch, checkout=False) == 101.0
    pace.reloaded(100.5)
    assert pace.due(batch, checkout=False) < 100.5
    batch.add(100.5)
    assert pace.due(batch, checkout=False) > 100.5


def test_endless_reload_delays_saves_for_limited_time():
    pace = Pace()
    pace.passed_on(batch_of(1), 100.0)
    assert pace.due(batch_of(1, at=100.1), checkout=False) == 101.0
    assert pace.due(batch_of(1, at=130.0), checkout=False) <= 130.2


@given(st.floats(0.001, 0.06), st.lists(st.floats(0.0, 0.06), min_size=49, max_size=49))
def test_fifty_saves_make_at_most_five_reloads(takes, pauses):
    pace, batch, at, passed, ends = Pace(), None, 100.0, [], None
    total = sum(pauses) or 1.0
    saves = [100.0]
    for pause in pauses:
        saves.append(saves[-1] + pause * min(1.0, 1.5 / total))
    waiting = list(saves)
    while waiting or batch is not None or ends is not None:
        due = pace.due(batch, checkout=False) if batch is not None else float("inf")
        at = max(at, min(waiting[0] if waiting else float("inf"), due, ends if ends is not None else float("inf")))
        if ends is not None and ends <= at:
            pace.reloaded(at)
            ends = None
        elif waiting and waiting[0] <= at:
            batch = batch or Batch()
            batch.changed["/a.py"] = waiting.pop(0)
            batch.add(at)
        elif batch is not None and due <= at:
            pace.passed_on(batch, at)
            passed.append(batch.last)
            batch, ends = None, at + takes
    assert passed[-1] == saves[-1]
    assert len(passed) <= 5
