"""Modules that an import of each part of corn may load, in a fresh interpreter.

import-linter (in `make lint`) checks the imports in the source; these tests check the loaded modules, the limits on
the size of files, folders and imports, and the names of tests.
"""

import ast
import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import grimp
import pytest

import corn

TESTS = Path(__file__).parent
PACKAGE = Path(corn.__file__).parent
HEAVY = {"asyncio", "uvloop", "httptools", "websockets", "watchfiles", "psutil", "multiprocessing", "ssl"}
NO_WORDS = {"a", "an", "the", "what", "who", "whom", "whose", "whoever", "nobody", "harms", "tells", "told"}


def loaded_by(code):
    """Modules that `code` loads into a fresh interpreter."""
    program = (
        f"import json, sys; before = set(sys.modules); {code}; print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_corn_import_loads_no_heavy_module():
    assert loaded_by("import corn") & (HEAVY | {"click", "logging", "socket"}) == set()


@pytest.mark.parametrize(
    "module", ["corn.config.sources", "corn.cli.serve", "corn.supervisor.master", "corn.api", "corn.embedding.options"]
)
def test_master_modules_load_no_heavy_module(module):
    assert loaded_by(f"import {module}") & HEAVY == set()


def test_console_script_import_loads_no_command():
    assert loaded_by("import corn.cli.main") & {"click", "corn.config", "corn.errors", "corn.logs"} == set()


def test_policy_loads_no_system_module():
    loaded = loaded_by("import corn.supervisor.policy.decide")
    assert loaded & {"logging", "random", "selectors", "signal", "socket", "subprocess"} == set()
    rooms = ("corn.supervisor.policy",)
    outside = {"corn", "corn.errors", "corn.frozen", "corn.version", "corn.supervisor"}
    assert {name for name in loaded if name.startswith("corn") and not name.startswith(rooms)} <= outside


def test_command_loads_no_other_command():
    run = "from click.testing import CliRunner; from corn.cli.serve import serve; CliRunner().invoke(serve, ['--help'])"
    assert loaded_by(run) & (HEAVY | {"corn.cli.config"}) == set()


def test_command_for_running_instance_loads_no_schema():
    modules = ("corn.cli.errors", *(f"corn.cli.control.{each}" for each in ("status", "commands", "diagnostics")))
    loaded = loaded_by(f"import {', '.join(modules)}")
    assert {name for name in loaded if name.startswith(("corn.config.", "corn.logs"))} == {"corn.config.suggestions"}


def test_worker_template_loads_no_module_of_unused_options():
    loaded = loaded_by("import corn.worker.template")
    rooms = ("corn.reload", "corn.diagnosis.diagnose", "corn.diagnosis.html", "corn.worker.dev", "corn.server.static.")
    assert [name for name in loaded if name.startswith(rooms)] == []


@pytest.fixture(scope="module")
def imports():
    """Imports of corn's modules within corn, including those for annotations and within functions."""
    graph = grimp.build_graph("corn", cache_dir=None)
    return {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}


def test_modules_import_each_other_without_circle(imports):
    left = {module: set(imported) for module, imported in imports.items()}
    while leaves := [module for module, imported in left.items() if not imported & left.keys()]:
        for module in leaves:
            del left[module]
    assert sorted(left) == []


def test_module_imports_at_most_twenty(imports):
    counts = {module: len(imported) for module, imported in imports.items()}
    assert {module: count for module, count in counts.items() if count > 20} == {}


def test_folder_holds_at_most_fifteen_modules():
    counts = Counter(file.parent for file in PACKAGE.rglob("*.py") if file.name != "__init__.py")
    assert {str(folder): count for folder, count in counts.items() if count > 15} == {}


@pytest.mark.parametrize(("folder", "most"), [(PACKAGE, 500), (TESTS, 400)], ids=["corn", "tests"])
def test_file_length_is_within_limit(folder, most):
    lengths = {str(file): len(file.read_text("utf-8").splitlines()) for file in folder.rglob("*.py")}
    assert len(lengths) > 50
    assert {file: length for file, length in lengths.items() if length > most} == {}


def test_names_are_short_unique_and_without_articles():
    names = []
    for file in TESTS.rglob("*.py"):
        functions = [
            each.name
            for each in ast.walk(ast.parse(file.read_text("utf-8")))
            if isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef)) and each.name.startswith("test_")
        ]
        names += [(str(file.relative_to(TESTS)), name) for name in functions]
    assert len(names) > 1000
    sentences = [each for each in names if NO_WORDS & set(re.split("_+", each[1]))]
    assert sentences == [], "name these test_<subject>_<condition>_<outcome>, as in CONTRIBUTING.md"
    assert [each for each in names if len(each[1]) > 70] == []
    assert [each for each, count in Counter(names).items() if count > 1] == []
