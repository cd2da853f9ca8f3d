"""Directory of control sockets for tests that run commands."""

from __future__ import annotations

import pytest


@pytest.fixture
def sockets(tmp_path):
    directory = tmp_path / "sockets"
    directory.mkdir()
    return directory
