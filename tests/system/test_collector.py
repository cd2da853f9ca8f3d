"""Pause of the garbage collector during imports."""

from __future__ import annotations

import gc

import pytest

from corn.system.collector import paused_collector


@pytest.fixture(params=[True, False], ids=["enabled", "disabled"])
def enabled(request):
    """Initial state of the collector; afterwards it is on."""
    if not request.param:
        gc.disable()
    yield request.param
    gc.enable()


def test_collector_is_paused_inside_and_restored_after(enabled):
    with paused_collector():
        assert not gc.isenabled()
    assert gc.isenabled() == enabled


def test_objects_of_pause_are_exempt_from_later_collections(enabled):
    with paused_collector():
        made = [object]
    assert not any(each is made for each in gc.get_objects())


def test_collector_is_restored_after_failed_import(enabled):
    with pytest.raises(ImportError), paused_collector():
        raise ImportError
    assert gc.isenabled() == enabled
