"""pytest plugin: the fixture `corn_server`, and the servers' log in the report of a test that fails.

pytest loads it in every run if corn is installed, so it imports no other module of corn before the fixture is used.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from corn.testing import AppServer

_SERVERS: pytest.StashKey[list[AppServer]] = pytest.StashKey()


@pytest.fixture
def corn_server(request: pytest.FixtureRequest) -> Generator[Callable[..., AppServer], None, None]:
    """Serve applications until the end of the test, each on a free port.

    `corn_server(app, root_path="/api").url` is where the application is; options are those of `corn.serve`.
    """
    from corn.testing import serve

    servers = request.node.stash.setdefault(_SERVERS, [])
    with contextlib.ExitStack() as stack:

        def start(app: str | Callable[..., Any], **options: Any) -> AppServer:
            server = stack.enter_context(serve(app, **options))
            servers.append(server)
            return server

        yield start


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, None]:
    """Add what the servers of a failed test have logged."""
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for server in item.stash.get(_SERVERS, []):
            report.sections.append((f"log of the corn server at {', '.join(server.addresses)}", server.log))
