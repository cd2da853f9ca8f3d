"""Options of an embedded server: each applies or is refused by name, and the environment is not read."""

from __future__ import annotations

import json
import re
import ssl
from pathlib import Path

import pytest

import corn
from corn.config import OPTIONS, Config
from corn.config.options import DEV
from corn.embedding.options import resolve_embedded, resolve_options
from corn.errors import ConfigError

PACKAGE = Path(corn.__file__).parent
NEED_A_MASTER = [each for each in OPTIONS if each.needs_master]
SERVED = [each for each in OPTIONS if each.command != DEV and not each.needs_master and not each.argument]
OTHER_VALUES = {
    "process_name": "shop",
    "admin": "9000",
    "admin_allow_host": [".example.org"],
    "admin_ready_workers": 2,
    "control": "off",
    "hooks": "hooks.py",
    "env_file": "app.env",
    "group": "root",
    "health_path": "/health",
    "pid": "corn.pid",
    "preload": "none",
    "statsd": "127.0.0.1:8125",
    "statsd_prefix": "shop",
    "statsd_tags": ["env:test"],
    "umask": 0o22,
    "user": "root",
    "workers": 2,
    "chdir": "..",
}


async def app(scope, receive, send): ...


@pytest.fixture
def directory(tmp_path, monkeypatch):
    for name in ("hooks.py", "app.env"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def another_value(option):
    if option.name in OTHER_VALUES:
        return OTHER_VALUES[option.name]
    if isinstance(option.default, bool):
        return not option.default
    return (option.default or 0) + (1 << 20)


@pytest.mark.parametrize("option", NEED_A_MASTER, ids=lambda each: each.name)
def test_master_option_is_refused(directory, option):
    with pytest.raises(ConfigError, match=f"^{option.name} needs a service of its own"):
        resolve_embedded(app, {option.name: another_value(option)}, None)


@pytest.mark.parametrize("option", NEED_A_MASTER, ids=lambda each: each.name)
def test_master_option_in_config_file_is_refused(directory, option):
    value = another_value(option)
    text = f'"{value:03o}"' if option.name == "umask" else json.dumps(value)
    Path("own.toml").write_text(f"{option.name} = {text}")
    with pytest.raises(ConfigError, match=f"^own.toml: {option.name} needs a service of its own"):
        resolve_embedded(app, {}, "own.toml")


@pytest.mark.parametrize("option", [each for each in OPTIONS if each.command == DEV], ids=lambda each: each.name)
def test_dev_option_is_refused(option):
    with pytest.raises(ConfigError, match=f"^{option.name} is an option of 'corn dev'"):
        resolve_embedded(app, {option.name: True}, None)


@pytest.mark.parametrize("option", SERVED, ids=lambda each: each.name)
def test_accepted_option_is_used_by_embedded_server(option):
    rooms = ("embedding", "server", "net", "tls", "logs")
    sources = [path.read_text() for room in rooms for path in (PACKAGE / room).rglob("*.py")]
    sources.append((PACKAGE / "worker" / "importer.py").read_text())
    assert any(re.search(rf"config\.{option.name}\b", source) for source in sources)


def test_environment_and_default_files_are_ignored(directory, monkeypatch):
    Path("corn.toml").write_text("port = 1")
    monkeypatch.setenv("CORN_PORT", "2")
    monkeypatch.setenv("CORN_CONFIG", "corn.toml")
    monkeypatch.setenv("WEB_CONCURRENCY", "3")
    monkeypatch.setenv("CORN_NONSENSE", "4")
    for application in (app, "main:app"):
        config = resolve_options(application, {}, None).config
        assert (config.port, config.workers) == (Config.port, Config.workers)


def test_config_file_completes_call_options(directory):
    Path("own.toml").write_text('port = 1\nheader = ["A: b"]')
    config = resolve_embedded(app, {"port": 2}, Path("own.toml")).config
    assert (config.port, config.header) == (2, ("A: b",))


@pytest.mark.parametrize(
    ("options", "values"),
    [
        ({"uds": Path("corn.sock"), "uds_mode": 0o600}, {"uds": "corn.sock", "uds_mode": 0o600}),
        ({"uds_mode": "640"}, {"uds_mode": 0o640}),
        ({"limit_body": "2MB"}, {"limit_body": 2_000_000}),
        ({"limit_body": None, "log_file": None}, {"limit_body": None, "log_file": None}),
        ({"header": "Vary: a, b"}, {"header": ("Vary: a, b",)}),
        ({"header": ["A: b", "C: d"]}, {"header": ("A: b", "C: d")}),
        ({"forwarded_allow_ips": "10.0.0.1,10.0.0.2"}, {"forwarded_allow_ips": ("10.0.0.1/32", "10.0.0.2/32")}),
        ({"bind": "127.0.0.1:0"}, {"bind": ("127.0.0.1:0",)}),
        ({"proxy_fields": "for"}, {"proxy_fields": ("for",)}),
        ({"static": ["/a=."]}, {"static": ("/a=.",)}),
        ({"log_config": {"version": 1}}, {"log_config": '{"version": 1}'}),
        ({"log_config": Path("app.env")}, {"log_config": "app.env"}),
        ({"log_file": "-"}, {"log_file": None}),
    ],
    ids=str,
)
def test_python_values_are_accepted(directory, options, values):
    config = resolve_embedded(app, options, None).config
    assert {name: getattr(config, name) for name in values} == values


def test_ssl_verify_mode_is_accepted(directory):
    options = {"ssl_certfile": Path("a.pem"), "ssl_ca_certs": Path("b.pem"), "ssl_cert_reqs": ssl.CERT_REQUIRED}
    config = resolve_embedded(app, options, None).config
    assert (config.ssl_certfile, config.ssl_cert_reqs) == (("a.pem",), "required")


def test_log_config_with_objects_is_refused_for_named_application(directory):
    table = {"version": 1, "handlers": {"own": {"()": object}}}
    assert resolve_embedded(app, {"log_config": table}, None).config.log_config.startswith("{")
    with pytest.raises(ConfigError, match=r"^log_config: .*; expected a file, or a table of plain values"):
        resolve_options("main:app", {"log_config": table}, None)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"wokers": 3}, "unknown option 'wokers'; did you mean 'workers'?"),
        ({"port": "abc"}, "port: 'abc' is wrong; expected a whole number from 0 to 65535"),
        ({"port": None}, "port: null is wrong; expected a whole number from 0 to 65535"),
        ({"bind": 8000}, "bind: 8000 is wrong; expected a list"),
        ({"app_dir": "."}, "app_dir is for an application given by name, as in 'main:app'; leave it out here"),
        ({"uds": "a", "port": 1}, "uds and port both set the address to listen on; keep one of them"),
    ],
    ids=str,
)
def test_mistake_names_argument(directory, options, line):
    with pytest.raises(ConfigError) as caught:
        resolve_embedded(app, options, None)
    assert str(caught.value).startswith(line)


def test_reference_lists_refused_options():
    page = (PACKAGE.parent / "docs" / "reference" / "python-api.md").read_text()
    listed = page.partition("These are refused: ")[2].partition(";")[0]
    assert re.findall(r"`(\w+)`", listed) == sorted(each.name for each in NEED_A_MASTER)
