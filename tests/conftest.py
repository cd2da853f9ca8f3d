"""What every test may ask for."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable

import pytest

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


@pytest.fixture(scope="session")
def program() -> Callable[[str], str]:
    """Where a program is that is not Python's; the test is skipped on a machine without it, but never in CI."""

    def find(name: str) -> str:
        path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
        if path is None:
            missing = f"needs {name}, of Debian's package {PACKAGES[name]}"
            assert not os.environ.get("CI"), missing
            pytest.skip(missing)
        return path

    return find
