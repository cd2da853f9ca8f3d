"""`python -m tests.mutants`: the result of `mutmut run`, by file, and the mutants that survived, by kind.

`make mutants` runs both. `--publish` writes docs/explanation/mutants.md.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MUTANTS = Path("mutants/corn/supervisor/policy")
PAGE = Path("docs/explanation/mutants.md")
_KILLED = {1, -24}  # a test failed, or the mutant ran until its limit of processor time
# Fields of the state that no rule reads: they are shown by status pages, or said in a log line.
_SHOWN = ("since", "reason", "detail", "last_error", "last_detail", "preload", "failure")
_KINDS = {
    "words": "the text or the level of a log line, or the text of a reason",
    "shown": f"a field that is displayed, and on which few decisions or none depend: {', '.join(_SHOWN)}",
    "default": "an argument or a field, which is omitted or None",
    "boundary": "the comparison of two equal times or sizes, which do not occur in clocks and measurements",
    "figure": "a number or its sign",
    "condition": "a part of a condition",
}
_TOKEN = re.compile(r'f?"[^"]*"|[\w.]+|[<>=!+*/-]+|\S')


@dataclass(frozen=True)
class Mutant:
    """One changed function: the tokens that were removed and those put in their place, and what stands before them."""

    file: str
    removed: str
    put: str
    before: str
    is_killed: bool

    @property
    def kind(self) -> str:
        if '"' in self.put + self.removed or "Level." in self.removed:
            return "words"
        if any(re.search(rf"\b{name} ?=", f"{self.before} {self.removed}") for name in _SHOWN):
            return "shown"
        if self.put in ("", "None") or not self.removed.strip(" ,"):
            return "default"
        if {self.removed, self.put} in ({"<", "<="}, {">", ">="}):
            return "boundary"
        return "figure" if re.search(r"\d|^[+*/-]+$", self.put) else "condition"


def mutants_in(directory: Path) -> Iterator[Mutant]:
    """The mutants of each file, from what mutmut left in a directory."""
    for results in sorted(directory.glob("*.meta")):
        codes = json.loads(results.read_text())["exit_code_by_key"]
        bodies = _functions(results.with_suffix("").read_text()) if codes else {}
        for key, code in codes.items():
            name = key.rpartition(".")[2]
            original = bodies.get(name.partition("__mutmut_")[0] + "__mutmut_orig", [])
            yield Mutant(results.stem, *_change(original, bodies.get(name, [])), code in _KILLED)


def _functions(source: str) -> dict[str, list[str]]:
    lines = source.splitlines()
    nodes = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef))
    return {node.name: lines[node.lineno : node.end_lineno] for node in nodes}


def _change(before: list[str], after: list[str]) -> tuple[str, str, str]:
    """What differs: the tokens removed, those put, and the two before them."""
    old, new = (_TOKEN.findall("\n".join(lines)) for lines in (before, after))
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    changes = [each for each in matcher.get_opcodes() if each[0] != "equal"]
    if not changes:
        return "", "", ""
    start, end = changes[0][1], changes[-1][2]
    first, last = changes[0][3], changes[-1][4]
    return " ".join(old[start:end]), " ".join(new[first:last]), " ".join(old[max(0, start - 2) : start])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--publish", action="store_true", help=f"write {PAGE}")
    parser.add_argument("--directory", type=Path, default=MUTANTS, help=argparse.SUPPRESS)
    parser.add_argument("--floor", type=int, default=0, help="fail if fewer per cent are killed")
    chosen = parser.parse_args()
    found = list(mutants_in(chosen.directory))
    killed = sum(each.is_killed for each in found)
    print("\n".join(_table(found)))
    print(f"{killed} of {len(found)} mutants killed")
    if chosen.publish:
        PAGE.write_text("\n".join(_page(found)) + "\n")
    sys.exit(100 * killed < chosen.floor * len(found))


def _table(found: list[Mutant]) -> list[str]:
    rows = ["| file | mutants | killed | survived |", "|---|---|---|---|"]
    total, killed = Counter(each.file for each in found), Counter(each.file for each in found if each.is_killed)
    rows += [f"| {file} | {total[file]} | {killed[file]} | {total[file] - killed[file]} |" for file in sorted(total)]
    return [*rows, f"| all | {total.total()} | {killed.total()} | {total.total() - killed.total()} |"]


def _page(found: list[Mutant]) -> list[str]:
    survived = [each for each in found if not each.is_killed]
    kinds = Counter(each.kind for each in survived)
    return [
        "# Mutants of the policy",
        "",
        "[mutmut](https://github.com/boxed/mutmut) changes one thing at a time in the functions of",
        "`corn/supervisor/policy`, and runs the tests of the policy without those of random sequences. A mutant is",
        "killed if a test fails. `make mutants` repeats it in about a quarter of an hour; `MUTANTS=--publish` writes",
        "this page. It fails if the share of killed mutants falls below a floor (`MUTANTS_FLOOR` in the Makefile).",
        "",
        *_table(found),
        "",
        "The surviving mutants by kind. A mutant counts as the first kind of the table that fits its change:",
        "",
        "| kind | mutants | what was changed |",
        "|---|---|---|",
        *(f"| {name} | {kinds[name]} | {why} |" for name, why in _KINDS.items()),
        "",
        "Survivors of the kinds default, figure and condition need a test, unless another rule of the policy has the",
        "same effect in every state. The random sequences of events (`test_decide_properties.py`), the simulation and",
        "the tests of real processes would kill some of them, but take too long to be run for each mutant.",
    ]


if __name__ == "__main__":
    main()
