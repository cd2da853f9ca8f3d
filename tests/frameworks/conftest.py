"""One service for all tests of a framework and a number of workers."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from tests.support.corn_process import Served
from tests.support.framework_sites import APPS, SITES, Site


class ServedSite(Served):
    """Site served with the default options."""

    def __init__(self, site: Site, workers: int) -> None:
        self.site = site
        self.count = workers
        super().__init__(APPS, site.app, "--port", "0", "--workers", str(workers))


@pytest.fixture(
    scope="package", params=[(site, workers) for site in SITES for workers in (1, 2)], ids=lambda p: f"{p[0]}-{p[1]}"
)
def served(request: pytest.FixtureRequest) -> Iterator[ServedSite]:
    """Site with 1 and with 2 workers; it must stop cleanly after its tests."""
    site, workers = request.param
    with ServedSite(site, workers) as served:
        served.wait_ready()
        served.wait_until(lambda: len(served.workers()) == workers, f"{workers} workers")
        yield served
        served.signal(signal.SIGTERM)
        assert served.wait_exit() == 0, served.output
        if site.has_lifespan:
            assert served.output.count(f"{site.greets}: shut down") == workers
        assert "was cancelled" not in served.output
