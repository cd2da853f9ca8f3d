import os

import pytest

from corn.cli.resolve import require_application, resolver
from corn.errors import ConfigError


@pytest.fixture
def releases(tmp_path, monkeypatch):
    """Two releases, and a link `current` to the first, entered as a shell does."""
    for number in (1, 2):
        (tmp_path / f"v{number}").mkdir()
        (tmp_path / f"v{number}" / "corn.toml").write_text(f"app = 'main:app'\nworkers = {number}")
    (tmp_path / "current").symlink_to("v1")
    monkeypatch.chdir(tmp_path / "current")
    monkeypatch.setenv("PWD", str(tmp_path / "current"))
    return tmp_path


def test_the_file_is_read_again_each_time(releases):
    read = resolver({}, None)
    assert read().config.workers == 1
    (releases / "v1" / "corn.toml").write_text("workers = 5")
    assert read().config.workers == 5


def test_a_switched_link_leads_to_the_new_release(releases):
    read = resolver({}, None)
    assert read().config.workers == 1
    (releases / "next").symlink_to("v2")
    (releases / "next").replace(releases / "current")
    assert read().config.workers == 2
    assert os.path.samefile(".", releases / "v2")


def test_a_directory_that_is_gone_is_told(releases):
    read = resolver({}, None)
    (releases / "current").unlink()
    with pytest.raises(ConfigError) as caught:
        read()
    assert str(caught.value) == f"the directory {releases / 'current'} cannot be entered: No such file or directory"


def test_a_wrong_pwd_is_not_believed(releases, monkeypatch):
    monkeypatch.setenv("PWD", str(releases / "v2"))
    assert resolver({}, None)().config.workers == 1


def test_the_command_line_and_the_environment_stay_as_they_were(releases, monkeypatch):
    read = resolver({"port": "9", "uds_mode": None, "bind": ()}, None)
    monkeypatch.setenv("CORN_WORKERS", "9")
    assert (read().config.port, read().config.workers) == (9, 1)
    assert read().origins["bind"] == "default"


def test_an_application_is_required(releases):
    (releases / "v1" / "corn.toml").write_text("")
    with pytest.raises(ConfigError, match="no application was named"):
        require_application(resolver({}, None)())
