"""Scaling of workers by load."""

import threading

import pytest

from tests.support.corn_process import Served, write_app

SLOW = """
import time
serves = app

async def app(scope, receive, send):
    {work}
    await serves(scope, receive, send)
"""
COMPUTES = "until = time.process_time() + 0.2\n    while time.process_time() < until: pass"
BLOCKS = "time.sleep(0.2)"


@pytest.mark.parametrize("work", [COMPUTES, BLOCKS], ids=["computes", "blocks"])
def test_busy_worker_scales_up(tmp_path, work):
    write_app(tmp_path, "one", more=SLOW.format(work=work))
    with Served(tmp_path, "main:app", "--port", "0", "--workers", "1..2", "--no-access-log").wait_ready() as served:
        assert "(1 to 2 workers by load, preload app)" in served.output
        done = threading.Event()

        def asks():
            while not done.is_set():
                served.client().get()

        threads = [threading.Thread(target=asks, daemon=True) for _ in range(3)]
        for each in threads:
            each.start()
        try:
            served.wait_for(r"scaling from 1 to 2 workers: the event loops are \d+% busy")
            served.wait_until(lambda: len(served.workers()) == 2, "two workers")
        finally:
            done.set()
            for each in threads:
                each.join(20)


def test_invalid_worker_range_is_refused(tmp_path):
    write_app(tmp_path, "one")
    for wrong in ("8..2", "0..2", "2..", "..2", "a..b"):
        with Served(tmp_path, "main:app", "--workers", wrong) as served:
            assert served.wait_exit() == 2
            assert served.output.startswith(f"corn: --workers: '{wrong}' is wrong; expected")
