import os

import pytest

from corn.cli.resolve import require_application, resolver
from corn.errors import ConfigError


@pytest.fixture
def releases(tmp_path, monkeypatch):
    """Two releases, and a symbolic link `current` to the first, as the working directory of a shell."""
    for number in (1, 2):
        (tmp_path / f"v{number}").mkdir()
        (tmp_path / f"v{number}" / "corn.toml").write_text(f"app = 'main:app'\nworkers = {number}")
    (tmp_path / "current").symlink_to("v1")
    monkeypatch.chdir(tmp_path / "current")
    monkeypatch.setenv("PWD", str(tmp_path / "current"))
    return tmp_path


def test_config_file_is_reread_on_each_call(releases):
    read = resolver({}, None)
    assert read().config.workers == 1
    (releases / "v1" / "corn.toml").write_text("workers = 5")
    assert read().config.workers == 5


def test_changed_symlink_selects_new_release(releases):
    read = resolver({}, None)
    assert read().config.workers == 1
    (releases / "next").symlink_to("v2")
    (releases / "next").replace(releases / "current")
    assert read().config.workers == 2
    assert os.path.samefile(".", releases / "v2")


def test_removed_directory_is_config_error(releases):
    read = resolver({}, None)
    (releases / "current").unlink()
    with pytest.raises(ConfigError) as caught:
        read()
    assert str(caught.value) == f"the directory {releases / 'current'} cannot be entered: No such file or directory"


def test_pwd_of_other_directory_is_ignored(releases, monkeypatch):
    monkeypatch.setenv("PWD", str(releases / "v2"))
    assert resolver({}, None)().config.workers == 1


def test_command_line_and_environment_are_fixed(releases, monkeypatch):
    read = resolver({"port": "9", "uds_mode": None, "bind": ()}, None)
    monkeypatch.setenv("CORN_WORKERS", "9")
    assert (read().config.port, read().config.workers) == (9, 1)
    assert read().origins["bind"] == "default"


def test_missing_application_is_config_error(releases):
    (releases / "v1" / "corn.toml").write_text("")
    with pytest.raises(ConfigError, match="no application given"):
        require_application(resolver({}, None)())
