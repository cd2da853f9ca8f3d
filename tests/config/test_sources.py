"""Configuration sources: their precedence, and one error line for each mistake."""

import sys

import pytest

from corn.config.sources import resolve
from corn.errors import ConfigError, ExitCode


@pytest.fixture
def resolve_in(tmp_path):
    def resolve_here(command_line=None, environ=None, files=None, config_file=None):
        for name, content in (files or {}).items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return resolve(command_line or {}, environ or {}, tmp_path, config_file)

    return resolve_here


def test_options_have_defaults_with_origin(resolve_in):
    resolved = resolve_in()
    assert resolved.config.port == 8000
    assert set(resolved.origins.values()) == {"default"}
    assert resolved.file is None


def test_command_line_overrides_environment_overrides_file(resolve_in):
    resolved = resolve_in(
        {"workers": "2"},
        {"CORN_WORKERS": "3", "CORN_BACKLOG": "30"},
        {"corn.toml": "workers = 4\nbacklog = 40\ntimeout-boot = 4"},
    )
    assert (resolved.config.workers, resolved.config.backlog, resolved.config.timeout_boot) == (2, 30, 4.0)
    origins = [resolved.origins[name] for name in ("workers", "backlog", "timeout_boot")]
    assert origins == ["command line", "CORN_BACKLOG", "corn.toml"]


def test_corn_variable_overrides_web_concurrency(resolve_in):
    assert resolve_in(environ={"WEB_CONCURRENCY": "3"}).origins["workers"] == "WEB_CONCURRENCY"
    assert resolve_in(environ={"WEB_CONCURRENCY": "3", "CORN_WORKERS": "2"}).config.workers == 2


def test_empty_variable_is_ignored(resolve_in):
    resolved = resolve_in(environ={"CORN_WORKERS": "", "CORN_NO_SUCH": "", "CORN_CONFIG": ""})
    assert resolved.origins["workers"] == "default"


def test_corn_toml_overrides_pyproject(resolve_in, tmp_path):
    files = {"corn.toml": "workers = 2", "pyproject.toml": "[tool.corn]\nworkers = 3"}
    resolved = resolve_in(files=files)
    assert (resolved.config.workers, resolved.file) == (2, tmp_path / "corn.toml")


def test_pyproject_is_read_with_corn_table_only(resolve_in, tmp_path):
    assert resolve_in(files={"pyproject.toml": "[tool.other]\nx = 1"}).file is None
    resolved = resolve_in(files={"pyproject.toml": "[tool.corn]\nworkers = 3"})
    assert resolved.file == tmp_path / "pyproject.toml"
    assert resolved.origins["workers"] == "pyproject.toml [tool.corn]"


def test_named_config_file_replaces_default(resolve_in):
    files = {"corn.toml": "workers = 2", "deploy/live.toml": "workers = 5"}
    resolved = resolve_in(files=files, config_file="deploy/live.toml")
    assert (resolved.config.workers, resolved.origins["workers"]) == (5, "deploy/live.toml")
    assert resolve_in(environ={"CORN_CONFIG": "deploy/live.toml"}).config.workers == 5
    assert resolve_in(environ={"CORN_CONFIG": "deploy/live.toml"}, config_file="corn.toml").config.workers == 2


def test_kubernetes_service_variables_are_ignored(resolve_in):
    environ = {
        "CORN_SERVICE_HOST": "10.0.0.1",
        "CORN_SERVICE_PORT": "80",
        "CORN_SERVICE_PORT_HTTP": "80",
        "CORN_PORT": "tcp://10.0.0.1:80",
        "CORN_PORT_80_TCP": "tcp://10.0.0.1:80",
        "CORN_PORT_80_TCP_PROTO": "tcp",
        "CORN_PORT_80_TCP_PORT": "80",
        "CORN_PORT_80_TCP_ADDR": "10.0.0.1",
        "CORN_API_SERVICE_HOST": "10.0.0.2",
        "CORN_API_PORT": "udp://10.0.0.2:53",
    }
    assert set(resolve_in(environ=environ).origins.values()) == {"default"}
    assert resolve_in(environ=environ | {"CORN_PORT": "80"}).config.port == 80


@pytest.mark.parametrize(
    ("command_line", "environ", "toml", "listening"),
    [
        ({"uds": "x"}, {"CORN_HOST": "h", "CORN_PORT": "1"}, "bind = ['a:1']", {"uds": "command line"}),
        ({}, {"CORN_PORT": "1"}, "bind = ['a:1']\nbacklog = 9", {"port": "CORN_PORT"}),
        ({"port": "2"}, {"CORN_HOST": "h"}, "fd = 3", {"port": "command line", "host": "CORN_HOST"}),
        ({}, {}, "bind = ['a:1']", {"bind": "corn.toml"}),
    ],
)
def test_highest_source_selects_listen_address(resolve_in, command_line, environ, toml, listening):
    resolved = resolve_in(command_line, environ, {"corn.toml": toml})
    origins = {name: resolved.origins[name] for name in ("bind", "host", "port", "uds", "fd")}
    assert {name: origin for name, origin in origins.items() if origin != "default"} == listening


MISTAKES = [
    ({"port": "http"}, {}, None, "--port: 'http' is wrong; expected a whole number from 0 to 65535"),
    ({"bind": ("a:1", "8000")}, {}, None, "--bind: 'a:1, 8000' is wrong; expected host:port, "),
    ({"app": "main.py"}, {}, None, "APP: 'main.py' is wrong; expected MODULE:ATTRIBUTE, perhaps main:app"),
    ({"wokers": 1}, {}, None, "unknown option 'wokers'; did you mean 'workers'?"),
    ({}, {"CORN_WORKERS": "many"}, None, "CORN_WORKERS: 'many' is wrong; expected a whole number from 1 to 512"),
    ({}, {"WEB_CONCURRENCY": "0"}, None, "WEB_CONCURRENCY: '0' is wrong; expected a whole number from 1 to 512"),
    ({}, {"CORN_WOKERS": "1"}, None, "unknown variable 'CORN_WOKERS'; did you mean 'CORN_WORKERS'?"),
    ({}, {"CORN_XYZ": "1"}, None, "unknown variable 'CORN_XYZ'; unset it, or see 'corn config --help'"),
    ({}, {}, "wokers = 1", "corn.toml: unknown option 'wokers'; did you mean 'workers'?"),
    ({}, {}, "log-levle = 'info'", "corn.toml: unknown option 'log-levle'; did you mean 'log_level'?"),
    ({}, {}, "zzz = 1", "corn.toml: unknown option 'zzz'"),
    ({}, {}, "[corn]\nport = 1", "corn.toml: unknown table [corn]; options belong at the top level"),
    ({}, {}, "port = true", "corn.toml: port: true is wrong; expected a whole number from 0 to 65535"),
    ({}, {}, "port = [1, 2]", "corn.toml: port: [1, 2] is wrong; expected"),
    ({"port": "1"}, {}, "port = 'x'", "corn.toml: port: 'x' is wrong; expected"),
    ({}, {}, "log-level = 'info'\nlog_level = 'info'", "corn.toml: 'log-level' and 'log_level' are the same option"),
    ({}, {}, "port = 1\nhost = ", "corn.toml, "),
    ({}, {}, "port = 1\nport == 2\n", "corn.toml, line 2, column 7: "),
    ({}, {}, b"port = 1\n# \xff\n", "corn.toml, line 2: not UTF-8 text"),
    (
        {"bind": ("a:1",), "port": "1"},
        {},
        None,
        "--bind and --port both set the address to listen on; keep one of them",
    ),
    (
        {},
        {"CORN_HOST": "h", "CORN_FD": "3"},
        None,
        "CORN_HOST and CORN_FD both set the address to listen on; keep one of them",
    ),
    (
        {"uds": "y"},
        {},
        "fd = 3\nuds = 'x'",
        "corn.toml: fd and uds both set the address to listen on; keep one of them",
    ),
    ({"app_dir": "src"}, {}, None, "--app-dir: there is no directory 'src'"),
    ({}, {}, "env_file = ['no.env']", "corn.toml: env_file: there is no file 'no.env'"),
    ({}, {}, "dev = 1", "corn.toml: unknown option 'dev'"),
    ({}, {}, "port = " + "9" * 5000, "corn.toml: Exceeds the limit"),
    ({"hooks": "no.py"}, {}, None, "--hooks: there is no file 'no.py'"),
    ({"log_config": "no.ini"}, {}, None, "--log-config: there is no file 'no.ini'"),
    ({"log_config": "a\0b"}, {}, None, "--log-config"),
    ({"prot": "1"}, {}, None, "unknown option 'prot'; did you mean 'port'?"),
]


@pytest.mark.parametrize(("command_line", "environ", "toml", "line"), MISTAKES, ids=[each[3][:50] for each in MISTAKES])
def test_mistake_is_one_line_naming_its_source(resolve_in, command_line, environ, toml, line):
    with pytest.raises(ConfigError) as caught:
        resolve_in(command_line, environ, {"corn.toml": toml} if toml is not None else {})
    assert str(caught.value).startswith(line)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == ExitCode.USAGE


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("none.toml", "none.toml: cannot be read: No such file or directory"),
        (".", ".: cannot be read: Is a directory"),
        ("pyproject.toml", "pyproject.toml: has no table [tool.corn]"),
    ],
)
def test_missing_or_foreign_config_file_is_refused(resolve_in, name, line):
    with pytest.raises(ConfigError) as caught:
        resolve_in(files={"pyproject.toml": "[tool.other]"}, config_file=name)
    assert str(caught.value) == line


def test_env_file_is_checked(resolve_in, tmp_path):
    with pytest.raises(ConfigError) as caught:
        resolve_in({"env_file": (".env",)}, files={".env": "A=1\nB\n"})
    assert str(caught.value) == f"{tmp_path / '.env'}, line 2: expected KEY=VALUE"


def test_long_invalid_value_is_truncated_in_error(resolve_in):
    with pytest.raises(ConfigError) as caught:
        resolve_in({"port": "x" * 1000})
    assert len(str(caught.value)) < 150


@pytest.mark.parametrize(
    ("environ", "command_line", "port"),
    [
        ({"PORT": "9001"}, {}, 9001),
        ({"PORT": "9001", "CORN_PORT": "9002"}, {}, 9002),
        ({"PORT": "9001", "CORN_PORT": "9002"}, {"port": "9003"}, 9003),
        ({"PORT": ""}, {}, 8000),
        ({"PORT": "tcp://10.0.0.1:80"}, {}, 8000),
        ({"PORT": "9001", "HOST": "0.0.0.0"}, {}, 9001),
    ],
)
def test_port_variable_yields_to_corn_port(tmp_path, environ, command_line, port):
    config = resolve(command_line, environ, tmp_path, None).config
    assert (config.host, config.port) == ("127.0.0.1", port)


def test_port_variable_yields_to_corn_bind(tmp_path):
    config = resolve({}, {"PORT": "9001", "CORN_BIND": "127.0.0.1:9002"}, tmp_path, None).config
    assert config.bind == ("127.0.0.1:9002",)


def test_invalid_port_variable_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="PORT: 'web' is wrong"):
        resolve({}, {"PORT": "web"}, tmp_path, None)


def test_files_and_directories_of_options_are_found_from_working_directory(resolve_in):
    files = {"site/public/x": "", "site/hooks.py": "", "site/log.ini": "", "site/a.env": "A=1"}
    given = {
        "chdir": "site",
        "static": ["/a=public"],
        "hooks": "hooks.py",
        "log_config": "log.ini",
        "env_file": ["a.env"],
    }
    resolved = resolve_in(given, files=files)
    assert (resolved.config.hooks, resolved.config.static) == ("hooks.py", ("/a=public",))


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({}, "corn.toml: cannot be accessed: Too many levels of symbolic links"),
        ({"hooks": "loop"}, "--hooks: '.*loop' cannot be accessed: Too many levels of symbolic links"),
    ],
)
def test_link_to_itself_is_refused_and_not_taken_for_missing(resolve_in, tmp_path, given, error):
    for name in ("loop",) if given else ("corn.toml",):
        (tmp_path / name).symlink_to(tmp_path / name)
    with pytest.raises(ConfigError, match=error):
        resolve_in(given)


def test_extra_that_is_not_installed_is_named_with_option(resolve_in, monkeypatch):
    monkeypatch.setitem(sys.modules, "prometheus_client", None)  # as where it is not installed
    with pytest.raises(ConfigError, match="--admin needs prometheus-client, the extra 'admin'"):
        resolve_in({"admin": "9000"})
