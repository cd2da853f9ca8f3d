"""One service for all tests of a framework."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from tests.support.corn_process import Served
from tests.support.framework_sites import APPS, SITES, Site

WORKERS = 2


class ServedSite(Served):
    """Site served with the default options."""

    def __init__(self, site: Site) -> None:
        self.site = site
        super().__init__(APPS, site.app, "--port", "0", "--workers", str(WORKERS))


@pytest.fixture(scope="package", params=SITES, ids=str)
def served(request: pytest.FixtureRequest) -> Iterator[ServedSite]:
    """Site with two workers; it must stop cleanly after its tests."""
    site = request.param
    with ServedSite(site) as served:
        served.wait_ready()
        served.wait_until(lambda: len(served.workers()) == WORKERS, f"{WORKERS} workers")
        yield served
        served.signal(signal.SIGTERM)
        assert served.wait_exit() == 0, served.output
        if site.has_lifespan:
            assert served.output.count(f"{site.greets}: shut down") == WORKERS
        assert "was cancelled" not in served.output
