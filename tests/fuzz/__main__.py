"""`python -m tests.fuzz [TARGET ...] [--seconds 60]`: look for inputs that break a target, with atheris.

Each target runs in a process of its own, which ends at the first finding: the input is written to a file beside the
corpus, with its traceback on the terminal.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="default: all")
    parser.add_argument("--seconds", type=int, default=60, help="for each target (default: 60)")
    parser.add_argument("--keep", action="store_true", help="add the inputs that reached new code to the corpus")
    parser.add_argument("--found", help=argparse.SUPPRESS)  # where this process puts what it finds
    chosen = parser.parse_args()
    names = chosen.targets or sorted(each.name for each in CORPUS.iterdir())
    if chosen.found:
        _fuzz(names[0], chosen.seconds, chosen.found)
    failed = [name for name in names if not _in_its_process(name, chosen.seconds, keep=chosen.keep)]
    print(
        f"{len(names)} targets, {chosen.seconds} s each: " + (f"broken: {', '.join(failed)}" if failed else "all hold")
    )
    sys.exit(bool(failed))


def _in_its_process(name: str, seconds: int, *, keep: bool) -> bool:
    with tempfile.TemporaryDirectory() as found:
        command = [sys.executable, "-m", "tests.fuzz", name, "--found", found, "--seconds", str(seconds)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        runs = [line for line in result.stderr.splitlines() if line.startswith("Done ")]
        print(f"{name}: {runs[-1] if runs else f'exit code {result.returncode}'}", flush=True)
        if result.returncode:
            print(result.stdout + result.stderr)
        if keep:
            _minimize(name, Path(found))
    return result.returncode == 0


def _minimize(name: str, found: Path) -> None:
    """Copy the inputs that reached new code, the smallest first and few of them."""
    inputs = sorted(
        (each for each in found.iterdir() if each.stat().st_size < 512), key=lambda each: each.stat().st_size
    )
    for each in inputs[:40]:
        (CORPUS / name / each.name[:12]).write_bytes(each.read_bytes())


def _fuzz(name: str, seconds: int, found: str) -> None:
    try:
        import atheris
    except ImportError:
        sys.exit("fuzzing needs atheris: pip install atheris (make fuzz does it)")
    with atheris.instrument_imports(include=["corn"]):
        from tests.fuzz.targets import TARGETS
    if name not in TARGETS:
        sys.exit(f"no target is named {name}; there are {', '.join(TARGETS)}")
    options = [
        f"-max_total_time={seconds}",
        "-max_len=2048",
        "-timeout=10",
        f"-artifact_prefix={CORPUS.parent}/{name}-",
    ]
    atheris.Setup([sys.argv[0], *options, found, str(CORPUS / name)], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
