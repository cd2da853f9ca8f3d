import pytest

from tests.support.dev_project import source
from tests.support.shell import shell_in


@pytest.fixture
def project(tmp_path):
    directory = tmp_path / "project"
    directory.mkdir()
    (directory / "main.py").write_text(source("one"))
    return directory


@pytest.fixture
def shell(project):
    with shell_in(project) as shell:
        yield shell
