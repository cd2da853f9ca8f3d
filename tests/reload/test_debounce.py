"""How long to wait for more after the first change."""

from hypothesis import given
from hypothesis import strategies as st

from corn.reload.debounce import FEW, Batch


def batch_of(files, *, at=100.0, gone=0, packages=0):
    batch = Batch()
    for number in range(files):
        batch.changed[f"/{number}.py"] = 1.0
    batch.gone = {f"/{number}.py" for number in range(gone)}
    batch.packages = {f"/site-packages/{number}.dist-info" for number in range(packages)}
    batch.add(at)
    return batch


def test_one_save_is_passed_on_at_once():
    assert batch_of(1).due(checkout=False) == 100.0


def test_many_files_wait_for_quiet_and_every_further_one_prolongs_it():
    batch = batch_of(FEW + 1)
    first = batch.due(checkout=False)
    assert first > 100.0
    batch.add(100.05)
    assert batch.due(checkout=False) > first


def test_a_file_that_is_gone_may_be_on_its_way_back():
    assert batch_of(1, gone=1).due(checkout=False) > 100.0


def test_git_at_work_and_an_installer_are_waited_for():
    assert batch_of(1).due(checkout=True) > 100.0
    assert batch_of(0, packages=1).due(checkout=False) > batch_of(1).due(checkout=True)


@given(st.integers(0, 50), st.booleans(), st.lists(st.floats(0, 0.5), max_size=100), st.integers(0, 2))
def test_patience_ends(files, checkout, pauses, packages):
    batch = batch_of(files, packages=packages)
    at = 100.0
    for pause in pauses:
        at += pause
        batch.add(at)
    assert batch.due(checkout=checkout) <= 120.0
    assert batch.due(checkout=checkout) <= at + 1.0
