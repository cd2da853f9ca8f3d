import os
import sys

import pytest

from corn.diagnosis.diagnose import diagnose, is_own
from corn.diagnosis.user_traceback import CORN, is_machinery
from corn.errors import ApplicationError
from tests.support.broken_apps import failure_of


def test_syntax_error_has_place_and_mark(tmp_path, monkeypatch):
    failure = failure_of(tmp_path, monkeypatch, {"broken.py": "import os\n\ndef app(:\n    pass\n"})
    assert failure.kind == "syntax"
    assert failure.summary == "broken could not be imported"
    assert failure.title.startswith("SyntaxError: ")
    assert (failure.place.file, failure.place.line) == (str(tmp_path / "broken.py"), 3)
    assert failure.place.marked == "def app(:"
    assert failure.place.mark[0] == 8


def test_missing_module_has_place_of_import(tmp_path, monkeypatch):
    failure = failure_of(tmp_path, monkeypatch, {"broken.py": "import json\nimport nowhere_to_be_found\n"})
    assert failure.kind == "import"
    assert failure.title == "ModuleNotFoundError: No module named 'nowhere_to_be_found'"
    assert failure.place.line == 2


def test_traceback_has_user_and_library_frames_only(tmp_path, monkeypatch):
    files = {"broken.py": "import lower\n", "lower.py": "import json\njson.loads('{')\n"}
    failure = failure_of(tmp_path, monkeypatch, files)
    assert failure.kind == "exception"
    own = [(frame.file, frame.line) for frame in failure.raised[0].frames if frame.own]
    assert own == [(str(tmp_path / "broken.py"), 1), (str(tmp_path / "lower.py"), 2)]
    assert {frame.file.rpartition("/")[2] for frame in failure.raised[0].frames if not frame.own} <= {
        "__init__.py",
        "decoder.py",
    }
    assert failure.place.marked == "json.loads('{')"


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python knows columns since 3.11")
def test_columns_are_counted_in_characters(tmp_path, monkeypatch):
    failure = failure_of(tmp_path, monkeypatch, {"broken.py": "x = 'ä€'; nothing()\n"})
    start, end = failure.place.mark
    assert failure.place.marked[start:end] == "nothing"


def test_system_exit_has_own_kind(tmp_path, monkeypatch):
    failure = failure_of(tmp_path, monkeypatch, {"broken.py": "import sys\nsys.exit(3)\n"})
    assert failure.kind == "exit"
    assert "sys.exit(3)" in failure.summary


def test_missing_attribute_has_no_traceback(tmp_path, monkeypatch):
    failure = failure_of(tmp_path, monkeypatch, {"broken.py": "application = print\n"})
    assert failure.kind == "import"
    assert failure.raised == ()
    assert "has no 'app'" in failure.title


def test_causes_have_relation(tmp_path, monkeypatch):
    source = "try:\n    1 / 0\nexcept ZeroDivisionError as error:\n    raise ValueError('no') from error\n"
    failure = failure_of(tmp_path, monkeypatch, {"broken.py": source})
    assert [(each.type, each.relation) for each in failure.raised] == [
        ("ValueError", ""),
        ("ZeroDivisionError", "cause"),
    ]


def test_circular_cause_terminates():
    error = ValueError("round")
    other = ValueError("and round")
    error.__context__, other.__context__ = other, error
    assert len(diagnose(error).raised) == 2


def test_endless_recursion_is_truncated(tmp_path, monkeypatch):
    failure = failure_of(tmp_path, monkeypatch, {"broken.py": "def f():\n    f()\nf()\n"})
    assert failure.raised[0].type == "RecursionError"
    assert len(failure.raised[0].frames) <= 40


def test_exception_with_failing_str_is_shown():
    class Mute(Exception):
        def __str__(self):
            raise RuntimeError

    assert "cannot be shown" in diagnose(Mute()).title


def test_startup_failure_has_own_kind():
    error = ApplicationError("the application's lifespan failed to start: KeyError: 'x'", "Traceback ...")
    error.__cause__ = KeyError("x")
    failure = diagnose(error, starting=True)
    assert failure.kind == "startup"
    assert failure.summary == "the application's lifespan failed to start"
    assert failure.title == "KeyError: 'x'"


def test_file_is_attributed_to_user_library_or_corn(tmp_path):
    assert is_own(str(tmp_path / "main.py"))
    assert not is_own(str(tmp_path / ".venv" / "lib" / "site-packages" / "x.py"))
    assert not is_own("<string>")
    assert not is_own(pytest.__file__)
    assert not is_own(sys.modules["json"].__file__)


def test_project_with_prefix_of_corn_path_keeps_frames():
    assert is_machinery(f"{CORN}worker/template.py")
    assert not is_machinery(f"{CORN.rstrip(os.sep)}_shop{os.sep}main.py")
