import pytest

from tests.support.dev_project import source


@pytest.fixture
def project(tmp_path):
    directory = tmp_path / "project"
    directory.mkdir()
    (directory / "main.py").write_text(source("one"))
    return directory
