"""Conventions of the test suite: `test_<subject>_<condition>_<outcome>` in short, unique names."""

import ast
import re
from collections import Counter
from pathlib import Path

TESTS = Path(__file__).parent
NO_WORDS = {"a", "an", "the", "what", "who", "whom", "whose", "whoever", "nobody", "harms", "tells", "told"}
LONGEST = 70


def test_names_follow_convention():
    names = []
    for file in TESTS.rglob("*.py"):
        functions = [
            each
            for each in ast.walk(ast.parse(file.read_text("utf-8")))
            if isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef)) and each.name.startswith("test_")
        ]
        names += [(str(file.relative_to(TESTS)), each.name) for each in functions]
    assert len(names) > 1000
    assert [each for each in names if NO_WORDS & set(re.split("_+", each[1]))] == []
    assert [each for each in names if len(each[1]) > LONGEST] == []
    assert [each for each, count in Counter(names).items() if count > 1] == []
