"""Random sequences of crashes, signals, reloads and scaling against a real master.

To choose the sequences: `pytest tests/integration/lifecycle/test_chaos.py --chaos-seeds 50`, or `--chaos-seeds 51-100`.
"""

from __future__ import annotations

import pytest

from tests.support.chaos import Chaos

STEPS = 10


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    first, _, last = metafunc.config.getoption("chaos_seeds").rpartition("-")
    metafunc.parametrize("seed", range(int(first or 1), int(last) + 1))


def test_random_faults_keep_service_and_leave_nothing(tmp_path, seed):
    chaos = Chaos(tmp_path, seed)
    with chaos.served as served:
        chaos.settle()
        before = chaos.descriptors()
        for _ in range(STEPS):
            chaos.step()
            chaos.check()
        chaos.settle()
        served.wait_until(lambda: not chaos.unexplained(), "every end explained")
        served.wait_until(lambda: chaos.descriptors() <= before, "no descriptor left")
        assert chaos.stop() == 0
        assert served.leftovers() == []
