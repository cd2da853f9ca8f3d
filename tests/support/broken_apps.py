"""Diagnosis of applications that fail to load."""

import json
import sys
from pathlib import Path

from corn.config import Config
from corn.diagnosis.diagnose import diagnose
from corn.diagnosis.failure import Failure
from corn.errors import CornError
from corn.worker.importer import load_application


def failure_of(directory: Path, monkeypatch, files: dict[str, str], app: str = "broken:app", **options) -> Failure:
    """Write the files, load the application like a template; returns the failure as sent to other processes."""
    for name, source in files.items():
        (directory / name).write_text(source)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    known = set(sys.modules)
    try:
        load_application(Config(app=app, app_dir=str(directory)))
    except CornError as error:
        return Failure.from_json(json.loads(json.dumps(diagnose(error, **options).to_json())))
    finally:
        for name in set(sys.modules) - known:
            del sys.modules[name]
    raise AssertionError("it did not fail")
