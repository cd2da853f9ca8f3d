"""Fixtures of all tests."""

from __future__ import annotations

import asyncio
import compileall
import os
import shutil
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop
from hypothesis import HealthCheck, settings

import corn
from corn.system.collector import paused_collector
from tests.support.chromium import Chromium
from tests.support.environment import settle_environment

settle_environment()
# By default an example has 200 ms, and making examples is not to be slow, which a loaded machine does not keep.
settings.register_profile("loaded machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("loaded machine")

DEADLINE = 60

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}

# What `.ci/run` installs, and the Debian package that brings it.
PACKAGES = {
    "chromium": "chromium",
    "chromedriver": "chromium-driver",
    "curl": "curl",
    "h2load": "nghttp2-client",
    "haproxy": "haproxy",
    "nghttp": "nghttp2-client",
    "tmux": "tmux",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--chaos-seeds", default="3", help="random sequences of test_chaos.py: 50, or 51-100")


def pytest_configure(config: pytest.Config) -> None:
    """Compile corn once: its processes run with PYTHONDONTWRITEBYTECODE, so each would compile what it imports."""
    if not hasattr(config, "workerinput"):  # in the process that starts the workers of pytest-xdist
        compileall.compile_dir(Path(corn.__file__).parent, quiet=2)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Import the tests without garbage collections, and keep their bytecode, which pytest compiles for two seconds.

    Each worker of pytest-xdist collects all tests.
    """
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, False
    try:
        with paused_collector():
            return (yield)
    finally:
        sys.dont_write_bytecode = before


def pytest_report_header() -> list[str]:
    """One line with all missing programs, before the first test."""
    missing = [f"{name} (Debian: {package})" for name, package in PACKAGES.items() if _find(name) is None]
    return [f"missing programs, so their tests are not run: {', '.join(missing)}"] if missing else []


def _find(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")


@pytest.fixture(scope="session")
def program() -> Callable[[str], str]:
    """Path of an external program; without it, the test is skipped, or fails in CI."""

    def find(name: str) -> str:
        path = _find(name)
        if path is None:
            missing = f"needs {name}, of Debian's package {PACKAGES[name]}"
            assert not os.environ.get("CI"), missing
            pytest.skip(missing)
        return path

    return find


@pytest.fixture(scope="session")
def one_chromium(program: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with Chromium(program("chromedriver"), program("chromium"), tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture
def chromium(one_chromium: Chromium) -> Iterator[Chromium]:
    """Browser with an empty page; it is started once for all tests, since that takes longer than most of them."""
    one_chromium.resize(1200, 900)
    yield one_chromium
    one_chromium.go("about:blank")


@pytest.fixture(params=sorted(LOOPS))
def run(request: pytest.FixtureRequest) -> Any:
    """Run a test's coroutine on both event loops, with a deadline."""

    def run_on_loop(main: Coroutine[Any, Any, Any] | Awaitable[Any]) -> Any:
        loop = LOOPS[request.param]()
        try:
            return loop.run_until_complete(asyncio.wait_for(main, DEADLINE))
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()

    return run_on_loop
