"""Verification of reloads (`--verify-reload`): compares a worker with a cold start of the application.

The application is imported once more, in a fresh interpreter, and its modules and environment are compared with the
worker's. Modules that only the worker has are not reported: they were preloaded, and their import was removed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from typing import Any

from corn.config import Config
from corn.logs import logger
from corn.worker.importer import load_application

_START = "import sys; sys.path[:] = {path!r}; from corn.worker.dev.verify_reload import main; main()"
_MAX_REPORTED = 5
Snapshot = Mapping[str, Mapping[str, str]]


def verify_in_background(config: Config) -> None:
    """Compare in a thread, and log the outcome."""
    here = snapshot()
    threading.Thread(target=_verify, args=(config, here), name="verify-reload", daemon=True).start()


def snapshot() -> Snapshot:
    """The modules that are loaded, by name, with the files they are from; and the environment."""
    modules = {name: getattr(module, "__file__", None) or "" for name, module in list(sys.modules.items())}
    foreign = {name: file for name, file in modules.items() if name.partition(".")[0] not in ("corn", "__main__")}
    return {"modules": foreign, "environment": dict(os.environ)}


def differences(warm: Snapshot, cold: Snapshot) -> Iterator[str]:
    """Differences of a cold start, in words."""
    for name, file in cold["modules"].items():
        here = warm["modules"].get(name)
        if here is None:
            yield f"module {name} is not loaded"
        elif here != file:
            yield f"module {name} is from {here or 'nowhere'} instead of {file or 'nowhere'}"
    for name in sorted({*warm["environment"], *cold["environment"]}):
        if warm["environment"].get(name) != cold["environment"].get(name):
            yield f"variable {name} has another value"


def main() -> None:
    """Import the application whose configuration is on standard input, and write the result to standard output."""
    output = os.dup(1)
    os.dup2(2, 1)  # output of the application must not mix with the result
    load_application(Config.from_json(json.load(sys.stdin)))
    with os.fdopen(output, "w") as answer:
        json.dump(snapshot(), answer)


def _verify(config: Config, here: Snapshot) -> None:
    path = [each for each in sys.path if each != os.path.realpath(config.app_dir)]
    try:
        done = subprocess.run(  # noqa: S603 - this interpreter
            [sys.executable, "-c", _START.format(path=path)],
            input=json.dumps(config.to_json()),
            stdout=subprocess.PIPE,
            text=True,
            timeout=config.timeout_boot,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        logger.warning("verify-reload: the application could not be imported once more: %s", error)
        return
    _report(list(differences(here, json.loads(done.stdout))))


def _report(found: list[Any]) -> None:
    if not found:
        logger.info("verify-reload: a cold start has the same modules")
        return
    more = f"; and {len(found) - _MAX_REPORTED} more" if len(found) > _MAX_REPORTED else ""
    logger.warning("verify-reload: compared with a cold start, %s%s", "; ".join(found[:_MAX_REPORTED]), more)
