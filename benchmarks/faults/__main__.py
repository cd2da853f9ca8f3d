"""Run the fault scenarios, and write the table of the faults that each server survives.

python -m benchmarks.faults                          all scenarios, all servers, about 25 minutes
python -m benchmarks.faults --only deploy --servers corn,gunicorn
python -m benchmarks.faults --publish                writes docs/explanation/survival.md too
"""

from __future__ import annotations

import argparse
import importlib.metadata
import platform
import time
from pathlib import Path

from benchmarks.faults.scenarios import SCENARIOS, LostError, NotOfferedError
from benchmarks.faults.subject import SERVERS

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "survival.md"
PACKAGES = ("corn-server", "uvicorn", "gunicorn", "uvicorn-worker", "hypercorn", "granian")

_PREFACE = """\
# Survived faults, by server

<!-- Made by `python -m benchmarks.faults --publish`. Do not edit. -->

Each fault is injected from outside into a service of two workers with the same small ASGI application. Each server
runs with its default options, and with its option against the fault if it has one. A server survives a fault if its
clients get responses from the right version of the code and all workers are back in time. `make faults` runs the
scenarios.

"""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults")
    parser.add_argument("--only", default="", help="run the scenarios whose name contains this")
    parser.add_argument("--servers", default=",".join(SERVERS).replace("gunicorn, uvicorn", "gunicorn; uvicorn"))
    parser.add_argument("--publish", action="store_true", help=f"write {PAGE.name}")
    arguments = parser.parse_args()
    servers = [each.replace(";", ",") for each in arguments.servers.split(",")]
    results: dict[str, dict[str, tuple[str, str]]] = {}
    for name, scenario in SCENARIOS.items():
        if arguments.only in name:
            results[name] = {}
            for server in servers:
                results[name][server] = verdict = _judge(scenario, server)
                print(f"{name} | {server} | {verdict[0]}: {verdict[1]}", flush=True)
    if arguments.publish:
        PAGE.write_text(_page(results, servers), encoding="utf-8")
    survived = all(row.get("corn", ("yes", ""))[0] != "no" for row in results.values())
    return 0 if survived else 1


def _judge(scenario, server: str) -> tuple[str, str]:  # type: ignore[no-untyped-def]
    try:
        return "yes", scenario(server)
    except LostError as error:
        return "no", str(error)
    except NotOfferedError:
        return "no", "no option against it"
    except TimeoutError as error:
        return "no", f"did not start: {error}"


def _page(results: dict[str, dict[str, tuple[str, str]]], servers: list[str]) -> str:
    head = f"| fault | {' | '.join(servers)} |\n|---|{'---|' * len(servers)}\n"
    rows = [f"| {name} | {' | '.join(row[each][0] for each in servers)} |\n" for name, row in results.items()]
    totals = [str(sum(row[each][0] == "yes" for row in results.values())) for each in servers]
    total = f"| **survived, of {len(results)}** | {' | '.join(totals)} |\n"
    details = [
        f"\n### {name[0].upper()}{name[1:]}\n\n"
        + "".join(
            f"- {each}: {'survived' if row[each][0] == 'yes' else 'did not survive'}: {row[each][1]}\n"
            for each in servers
        )
        for name, row in results.items()
    ]
    return f"{_PREFACE}{head}{''.join(rows)}{total}\n## Results in detail\n{''.join(details)}\n{_environment()}"


def _environment() -> str:
    versions = [f"{name} {importlib.metadata.version(name)}" for name in PACKAGES]
    when = time.strftime("%Y-%m-%d")
    return f"## Environment\n\nPython {platform.python_version()}, {when}; {', '.join(versions)}.\n"


if __name__ == "__main__":
    raise SystemExit(main())
