"""Random faults for a real master, and the invariants that must hold.

test_chaos.py in tests/integration/lifecycle runs short sequences. For a long one:
`python -m tests.support.chaos --minutes 20`.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import re
import signal
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import psutil

from tests.support.corn_process import Served, write_app
from tests.support.http_client import Load

ARGUMENTS = (
    *("--port", "0", "--no-access-log", "--soak", "0.2", "--rollback-window", "2"),
    *("--timeout-worker", "3", "--timeout-boot", "40", "--timeout-graceful-shutdown", "5", "--limit-memory", "300MiB"),
)
LEAK = """
hoard = []
serve_plainly = app

async def app(scope, receive, send):
    if scope["type"] == "http" and scope["path"] == "/leak":
        hoard.append(bytearray(os.urandom(1 << 20)) * 20)
    await serve_plainly(scope, receive, send)
"""
BAD = ("def (:\n", "raise RuntimeError('bad deploy')\n", "import os; os._exit(0)\n", "import nothing_like_this\n")


class Chaos:
    """Running service, the faults applied to it, and their record."""

    def __init__(self, directory: Path, seed: int, workers: int = 3) -> None:
        self.random = random.Random(seed)
        self.directory = directory
        self.version = 0
        self.target = workers
        self.done: Counter[str] = Counter()
        self.template_lost = False  # since the service last settled
        write_app(directory, "v0", more=LEAK)
        self.served = Served(directory, "main:app", "--workers", str(workers), *ARGUMENTS).wait_ready()
        self.pids: set[int] = {worker.pid for worker in self.served.workers()}
        self.faults = {
            "kill a worker": self.kill_worker,
            "kill all workers": self.kill_all,
            "ask a worker to leave": self.ask_worker,
            "stop a worker": self.stop_worker,
            "leak": self.leak,
            "good reload": self.reload,
            "bad reload": self.bad_reload,
            "storm of reloads": self.storm,
            "one more": self.one_more,
            "one fewer": self.one_fewer,
            "kill the template": self.kill_template,
        }

    def step(self) -> str:
        """Apply one random fault."""
        name = self.random.choice(list(self.faults))
        self.done[name] += 1
        with contextlib.suppress(psutil.NoSuchProcess, IndexError):
            self.faults[name]()
        self.pids |= {worker.pid for worker in self.served.workers()}
        return name

    def kill_worker(self) -> None:
        self.random.choice(self.served.workers()).kill()

    def kill_all(self) -> None:
        for worker in self.served.workers():
            worker.kill()

    def ask_worker(self) -> None:
        self.random.choice(self.served.workers()).terminate()

    def stop_worker(self) -> None:
        self.random.choice(self.served.workers()).suspend()

    def leak(self) -> None:
        with self.served.client() as client, contextlib.suppress(OSError):
            for _ in range(20):
                client.get("/leak", keep=True)

    def reload(self) -> None:
        self.version += 1
        write_app(self.directory, f"v{self.version}", more=LEAK)
        self.served.signal(signal.SIGHUP)

    def bad_reload(self) -> None:
        """Needs a template to continue from: without one, only the code on disk can be served."""
        if self.template_lost:
            self.settle()
        (self.directory / "main.py").write_text(self.random.choice(BAD))
        self.served.signal(signal.SIGHUP)

    def storm(self) -> None:
        for _ in range(50):
            self.served.signal(signal.SIGHUP)

    def one_more(self) -> None:
        self.served.signal(signal.SIGTTIN)

    def one_fewer(self) -> None:
        self.served.signal(signal.SIGTTOU)

    def kill_template(self) -> None:
        """Needs working code on disk, as the only source without a template."""
        write_app(self.directory, f"v{self.version}", more=LEAK)
        self.random.choice(self.served.templates()).kill()
        self.template_lost = True

    # Invariants

    def check(self) -> None:
        """The service responds, its master runs, and zombies are reaped soon.

        A worker that is stopped while it boots is replaced after --timeout-boot; it may be the only one.
        """
        assert self.served.process.poll() is None, f"the master is gone:\n{self.served.output[-4000:]}"
        self.served.wait_until(self.answers, "an answer", deadline=90)
        self.served.wait_until(lambda: not self.served.zombies(), "no zombies")

    def answers(self) -> bool:
        try:
            return self.served.client().get().startswith("v")
        except OSError:
            return False

    def settle(self) -> None:
        """Write working code, reload, and wait until all workers serve it and no other process is left.

        A candidate may be all that serves for a while, but is withdrawn if one of its workers is killed.
        """
        served = self.served
        for worker in served.workers():
            with contextlib.suppress(psutil.NoSuchProcess):
                worker.resume()
        self.reload()
        version = f"v{self.version}"

        def only_the_new() -> bool:
            with contextlib.suppress(OSError):
                return {served.client().get().split()[0] for _ in range(20)} == {version}
            return False

        served.wait_until(only_the_new, f"{version} from all workers", deadline=90)
        served.wait_until(self._is_committed, "one template, of the current generation")
        self.template_lost = False
        self.pids |= {worker.pid for worker in served.workers()}

    def _is_committed(self) -> bool:
        titles = [self.served.title(each) for each in self.served.templates()]
        generation = re.search(r" g(\d+) ", titles[0]) if len(titles) == 1 else None
        return generation is not None and f"reloaded: generation {generation[1]} serves" in self.served.output

    def unexplained(self) -> set[int]:
        """Workers whose exit has no log line with its cause.

        The line of a worker whose template was killed before it had reported the fork has no process id.
        """
        why = r"(?:pid (?=\d+\) (?:exited|crashed|failed))|worker process (?=\d+(?:: it)? was forked too late))(\d+)"
        explained = {int(pid) for pid in re.findall(why, self.served.output)}
        left = self.pids - explained - {worker.pid for worker in self.served.workers()}
        unreported = self.served.output.count("could not be forked: its template was lost, and its process has exited")
        return left if len(left) > unreported else set()

    def descriptors(self) -> int:
        """Number of the master's descriptors, without two for each worker: its channel and its report."""
        return psutil.Process(self.served.pid).num_fds() - 2 * len(self.served.workers())

    def stop(self) -> int:
        self.served.signal(signal.SIGTERM)
        return self.served.wait_exit()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        _run(Chaos(Path(directory), chosen.seed), chosen.minutes)


def _run(chaos: Chaos, minutes: float) -> None:
    pause = threading.Event()
    end = time.monotonic() + minutes * 60
    with chaos.served as served:
        master = psutil.Process(served.pid)
        chaos.settle()
        before = (chaos.descriptors(), master.memory_info().rss >> 10)
        with Load(served.address, clients=4) as load:
            while time.monotonic() < end:
                chaos.step()
                chaos.check()
                pause.wait(1)
            chaos.settle()
        after = (chaos.descriptors(), master.memory_info().rss >> 10)
        print("faults:", dict(chaos.done))
        print(f"answers {len(load.answers)}, failed {len(load.failures)} (killed and stopped workers lose theirs)")
        print("failures by kind:", Counter(each.split(" after")[0].split(":")[0] for each in load.failures))
        print(f"master's descriptors {before[0]} -> {after[0]}, memory {before[1]} -> {after[1]} KiB")
        print(f"workers seen {len(chaos.pids)}, ends without a reason {len(chaos.unexplained())}")
        print("exit code", chaos.stop(), "processes left", len(served.leftovers()))


if __name__ == "__main__":
    main()
