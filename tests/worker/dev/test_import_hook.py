"""Import hook of corn dev for project modules, in a fresh interpreter each."""

import json
import os
import subprocess
import sys
import textwrap

_BEGIN = """
import json, os, sys, time
sys.path.insert(0, {directory!r})
from corn.worker.dev.import_hook import ProjectImporter
own = ProjectImporter()
own.install()
"""


def run(directory, code):
    """JSON output of `code`, with the import hook installed."""
    program = _BEGIN.format(directory=str(directory)) + textwrap.dedent(code)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=40, check=True, env=environment
    )
    return json.loads(done.stdout)


def bytecode(directory):
    return list((directory / "__pycache__").glob("*.pyc")) if (directory / "__pycache__").exists() else []


def test_saves_of_equal_size_within_second_are_both_imported(tmp_path):
    module = tmp_path / "module.py"
    for text in ("one", "two"):
        module.write_text(f"VALUE = {text!r}")
        assert run(tmp_path, "import module; print(json.dumps(module.VALUE))") == text
    assert bytecode(tmp_path) == []


def test_module_unchanged_for_long_is_compiled_once(tmp_path):
    module = tmp_path / "module.py"
    module.write_text("VALUE = 1")
    os.utime(module, (1_000_000, 1_000_000))
    assert run(tmp_path, "import module; print(json.dumps(module.VALUE))") == 1
    assert len(bytecode(tmp_path)) == 1


def test_module_time_excludes_its_imports(tmp_path):
    (tmp_path / "outer.py").write_text("import inner")
    (tmp_path / "inner.py").write_text("import time; time.sleep(0.1)")
    code = """
        began = time.perf_counter()
        import outer
        print(json.dumps([own.files, own.seconds, time.perf_counter() - began]))
    """
    files, seconds, total = run(tmp_path, code)
    assert files == {name: str(tmp_path / f"{name}.py") for name in ("outer", "inner")}
    assert seconds["inner"] >= 0.1
    assert 0 < seconds["outer"] <= total - seconds["inner"]


def test_project_packages_are_own_and_standard_library_is_not(tmp_path):
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text("from package import part; import colorsys")
    (tmp_path / "package" / "part.py").write_text("")
    code = "import package; print(json.dumps([sorted(own.files), 'colorsys' in sys.modules]))"
    assert run(tmp_path, code) == [["package", "package.part"], True]


def test_traceback_shows_source(tmp_path):
    (tmp_path / "module.py").write_text("x = 1\nraise ValueError(x)\n")
    code = """
        import traceback
        try:
            import module
        except ValueError:
            print(json.dumps(traceback.format_exc()))
    """
    assert "raise ValueError(x)" in run(tmp_path, code)
