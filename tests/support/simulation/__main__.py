"""Many random schedules of the simulated master, on all cores: `python -m tests.support.simulation --schedules 100000`.

Each schedule is its seed, so a failure is repeated with `--first SEED --schedules 1`, which prints its trace.
"""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import os
import resource
import sys
import time
from collections import Counter
from dataclasses import replace

from tests.support.simulation.schedule import Outcome, run_schedule

_AT_ONCE = 100
_REPORTS_EACH = 10_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--schedules", type=int, default=1000, help="number of schedules (default: 1000)")
    parser.add_argument("--first", type=int, default=1, help="first seed (default: 1)")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="default: one for each core")
    chosen = parser.parse_args()
    seeds = range(chosen.first, chosen.first + chosen.schedules)
    began = time.monotonic()
    troubles: Counter[str] = Counter()
    workers, failed = 0, 0
    with multiprocessing.Pool(chosen.processes, _collect_seldom, maxtasksperchild=20) as pool:
        outcomes = pool.imap(_run, seeds, chunksize=min(_AT_ONCE, max(1, len(seeds) // 8)))
        for number, outcome in enumerate(outcomes, 1):
            troubles += outcome.troubles
            workers += outcome.workers
            if outcome.violation:
                failed += 1
                _report(outcome, whole=len(seeds) == 1)
            if number % _REPORTS_EACH == 0:
                print(f"{number} schedules in {time.monotonic() - began:.0f} s: {failed} failed", flush=True)
        pool.close()
        pool.join()
    seconds, used = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    rate = len(seeds) / (used.ru_utime + used.ru_stime)
    print(f"{len(seeds)} schedules in {seconds:.0f} s, {rate:.0f} per second of CPU time: {failed} failed")
    print(f"{workers} workers lived and ended")
    print(", ".join(f"{name} {count}" for name, count in troubles.most_common()))
    sys.exit(failed > 0)


def _collect_seldom() -> None:
    """Have the garbage collector pass over the modules, and run less often: a schedule leaves little behind."""
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)


def _run(seed: int) -> Outcome:
    """Run one schedule; only the trace of one that failed is worth passing on."""
    outcome = run_schedule(seed)
    return outcome if outcome.violation else replace(outcome, trace=[])


def _report(outcome: Outcome, *, whole: bool) -> None:
    if whole:
        print("\n".join(outcome.trace))
    print(f"seed {outcome.seed}: {outcome.violation}", flush=True)


if __name__ == "__main__":
    main()
