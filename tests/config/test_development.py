"""Options of corn dev: production addresses and workers are ignored, and the table [dev] overrides options."""

import pytest

from corn.config.sources import resolve, resolve_development
from corn.errors import ConfigError

PRODUCTION = """
app = "main:app"
bind = ["0.0.0.0:80"]
workers = 4
soak = 5
timeout_keep_alive = 7
"""


@pytest.fixture
def develop(tmp_path):
    def develop_here(text="", environ=None, command_line=None, name="corn.toml"):
        (tmp_path / name).write_text(text)
        return resolve_development(command_line or {}, environ or {}, tmp_path, None)

    return develop_here


def test_production_addresses_and_workers_are_ignored_in_dev(develop):
    resolved = develop(PRODUCTION, {"CORN_HOST": "0.0.0.0", "WEB_CONCURRENCY": "8"})
    config = resolved.config
    assert (config.host, config.bind, config.workers) == ("127.0.0.1", (), 1)
    assert (config.app, config.timeout_keep_alive) == ("main:app", 7.0)
    assert {each.spelling for each in resolved.left_out} == {"bind", "soak", "CORN_HOST", "WEB_CONCURRENCY"}


def test_command_line_overrides_dev_defaults(develop):
    config = develop(PRODUCTION, command_line={"bind": ("0.0.0.0:81",), "workers": "2"}).config
    assert (config.bind, config.workers) == (("0.0.0.0:81",), 2)


def test_dev_table_overrides_options(develop):
    resolved = develop(PRODUCTION + "[dev]\nhost = '0.0.0.0'\nworkers = 2\ntimeout-keep-alive = 9\nreload_dir = ['.']")
    config = resolved.config
    assert (config.host, config.workers, config.timeout_keep_alive, config.reload_dir) == ("0.0.0.0", 2, 9.0, (".",))
    assert resolved.origins["workers"] == "corn.toml [dev]"


def test_variable_overrides_dev_table(develop):
    assert develop("[dev]\nport = 1", {"CORN_PORT": "2"}).config.port == 2


def test_dev_table_of_pyproject_is_read(develop):
    resolved = develop("[tool.corn]\nworkers = 4\n[tool.corn.dev]\nworkers = 2", name="pyproject.toml")
    assert resolved.config.workers == 2
    assert resolved.origins["workers"] == "pyproject.toml [tool.corn.dev]"


def test_dev_table_is_checked_but_ignored_by_serve(tmp_path):
    (tmp_path / "corn.toml").write_text(PRODUCTION + "[dev]\nworkers = 2")
    assert resolve({}, {}, tmp_path, None).config.workers == 4
    (tmp_path / "corn.toml").write_text(PRODUCTION + "[dev]\nwokers = 2")
    with pytest.raises(ConfigError, match=r"corn\.toml \[dev\]: unknown option 'wokers'; did you mean 'workers'"):
        resolve({}, {}, tmp_path, None)


def test_serve_option_in_dev_table_is_refused(develop):
    with pytest.raises(ConfigError, match=r"corn\.toml \[dev\]: soak is an option of 'corn serve'"):
        develop("[dev]\nsoak = 1")


def test_dev_that_is_no_table_is_unknown_option(develop):
    with pytest.raises(ConfigError, match=r"corn\.toml: unknown option 'dev'"):
        develop("dev = 1")
