"""Keyword arguments of `corn.serve` and `corn.Server`: Python values instead of text, and no environment."""

from pathlib import Path

import pytest

from corn.config.sources import CALL, resolve_call
from corn.errors import ConfigError


def called(tmp_path, config_file=None, **options):
    return resolve_call(options, tmp_path, config_file)


def test_call_ignores_environment_and_files_that_it_does_not_name(tmp_path, monkeypatch):
    (tmp_path / "corn.toml").write_text("port = 1")
    monkeypatch.setenv("CORN_PORT", "2")
    resolved = called(tmp_path)
    assert (resolved.config.port, resolved.file) == (8000, None)


def test_call_overrides_file_that_it_names(tmp_path):
    (tmp_path / "site.toml").write_text("port = 1\nbacklog = 30")
    resolved = called(tmp_path, "site.toml", port=9)
    assert (resolved.config.port, resolved.config.backlog) == (9, 30)
    assert (resolved.origins["port"], resolved.origins["backlog"]) == (CALL, "site.toml")


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("app_dir", Path("src"), "src"),
        ("uds_mode", 0o660, 0o660),
        ("uds_mode", "660", 0o660),
        ("limit_memory", None, None),
        ("limit_memory", 1 << 20, 1 << 20),
        ("header", "X-A: a, b", ("X-A: a, b",)),
        ("header", ["X-A: a", "X-B: b"], ("X-A: a", "X-B: b")),
        ("bind", "127.0.0.1:1,127.0.0.1:2", ("127.0.0.1:1", "127.0.0.1:2")),
        ("env_file", (Path("a.env"),), ("a.env",)),
    ],
)
def test_python_value_of_argument_is_read(tmp_path, name, value, kept):
    (tmp_path / "src").mkdir()
    (tmp_path / "a.env").touch()
    assert getattr(called(tmp_path, **{name: value}).config, name) == kept


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("prot", 1, "unknown option 'prot'; did you mean 'port'?"),
        ("port", None, "port"),
        ("bind", 5, "bind"),
        ("header", 5, "expected a list"),
    ],
)
def test_invalid_argument_is_named(tmp_path, name, value, error):
    with pytest.raises(ConfigError) as caught:
        called(tmp_path, **{name: value})
    assert error in str(caught.value)
