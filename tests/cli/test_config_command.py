import json
from dataclasses import fields

from corn.config.schema import OPTIONS, Config
from corn.config.types import Mode


def test_config_table_shows_values_with_origin(corn, tmp_path):
    (tmp_path / "corn.toml").write_text("backlog = 100")
    done = corn("config", "main:app", "-w", "3", "--no-access-log", CORN_PORT="9000")
    rows = [line.split("  ") for line in done.stdout.splitlines()]
    values = {row[0]: [cell.strip() for cell in row[1:] if cell.strip()] for row in rows}
    assert list(values) == [each.name for each in OPTIONS]
    assert values["app"] == ["main:app", "command line"]
    assert values["workers"] == ["3", "command line"]
    assert values["access_log"] == ["false", "command line"]
    assert values["port"] == ["9000", "CORN_PORT"]
    assert values["backlog"] == ["100", "corn.toml"]
    assert values["uds_mode"] == ["666", "default"]
    assert values["uds"] == ["-", "default"]
    starts = {line.rindex("default") for line in done.stdout.splitlines() if line.endswith("default")}
    assert len(starts) == 1


def test_config_table_is_colored_in_terminal_only(corn, corn_on_a_terminal):
    assert "\x1b[" not in corn("config").stdout
    assert "\x1b[2mhost " in corn_on_a_terminal("config")
    assert "\x1b[" not in corn_on_a_terminal("config", NO_COLOR="1")


def test_list_items_may_be_separated_by_commas(corn):
    options = [
        "--forwarded-allow-ips",
        "10.0.0.1,10.0.0.2",
        "--header",
        "Vary: a, b",
        "--statsd-tags",
        "env:test,zone:b",
    ]
    shown = json.loads(corn("config", *options, "--json").stdout)["options"]
    assert shown["forwarded_allow_ips"]["value"] == ["10.0.0.1/32", "10.0.0.2/32"]
    assert shown["header"]["value"] == ["Vary: a, b"]
    assert shown["statsd_tags"]["value"] == ["env:test", "zone:b"]


def test_config_json_round_trips(corn, tmp_path):
    (tmp_path / "corn.toml").write_text("uds-mode = '600'")
    shown = json.loads(corn("config", "main:app", "-b", "a:1", "-b", "unix:x", "--json").stdout)
    assert shown["file"] == str(tmp_path / "corn.toml")
    assert shown["options"]["uds_mode"] == {"value": "600", "origin": "corn.toml"}
    assert shown["options"]["bind"] == {"value": ["a:1", "unix:x"], "origin": "command line"}
    kinds = {each.name: each.kind for each in OPTIONS}
    read = {
        name: kinds[name].parse(each["value"]) for name, each in shown["options"].items() if each["value"] is not None
    }
    assert Config(**read) == Config(app="main:app", bind=("a:1", "unix:x"), uds_mode=0o600)
    assert {each.name for each in fields(Config)} == set(shown["options"])
    assert isinstance(kinds["uds_mode"], Mode)


def test_config_file_is_selected_by_option_or_variable(corn, tmp_path):
    (tmp_path / "live.toml").write_text("workers = 7")
    assert "7" in _row(corn("config", "-c", "live.toml").stdout, "workers")
    assert "live.toml" in _row(corn("config", CORN_CONFIG="live.toml").stdout, "workers")


def _row(table, name):
    return next(line for line in table.splitlines() if line.startswith(f"{name} "))
