"""Random sequences of crashes, signals, reloads and scaling against a real master."""

from __future__ import annotations

import psutil
import pytest

from tests.support.chaos import Chaos

STEPS = 10


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_whatever_happens_it_serves_explains_and_cleans_up(tmp_path, seed):
    chaos = Chaos(tmp_path, seed)
    with chaos.served as served:
        chaos.settle()
        fds = psutil.Process(served.pid).num_fds()
        for _ in range(STEPS):
            chaos.step()
            chaos.check()
        chaos.settle()
        served.wait_until(lambda: not chaos.unexplained(), "every end explained", deadline=20)
        target = len(served.workers())
        served.wait_until(lambda: psutil.Process(served.pid).num_fds() <= fds + (target - 3), "no descriptor left")
        assert chaos.stop() == 0
        assert served.leftovers() == []
