"""The configuration of a running instance, and what a reload would change in it."""

import json

import pytest

from tests.support.certificates import Issued
from tests.support.control_cli import Commanded, command
from tests.support.corn_process import write_app

FILE = 'app = "main:app"\nport = 0\nworkers = 2\nsoak = 0\n'


def serve(directory):
    write_app(directory, "one")
    (directory / "corn.toml").write_text(FILE)
    issued = Issued(directory, "localhost")
    arguments = ("--backlog", "100", *issued.arguments())
    secret = {"CORN_SSL_KEYFILE_PASSWORD": "unspoken"}
    return Commanded(directory, *arguments, sockets=directory / "sockets", **secret).wait_ready()


@pytest.fixture
def served(tmp_path):
    with serve(tmp_path) as served:
        yield served


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory):
    """Instance for the tests that change neither it nor its files."""
    with serve(tmp_path_factory.mktemp("unchanged")) as served:
        yield served


def config(served, *arguments):
    return command(served.sockets, "config", *arguments)


def rows(text):
    """Value and origin of each option of a table."""
    return {line.split()[0]: line.split(None, 1)[1].split("  ") for line in text.splitlines()}


def value_and_origin(text, option):
    value, *_, origin = (cell.strip() for cell in rows(text)[option])
    return value, origin


def test_running_shows_each_value_with_its_origin_and_no_secret(unchanged):
    done = config(unchanged, "--running")
    assert done.returncode == 0, done.stderr
    assert done.stderr == f"pid {unchanged.pid}: main:app at {unchanged.address}\n"
    assert value_and_origin(done.stdout, "workers") == ("2", "corn.toml")
    assert value_and_origin(done.stdout, "backlog") == ("100", "command line")
    assert value_and_origin(done.stdout, "ssl_keyfile_password") == ("********", "CORN_SSL_KEYFILE_PASSWORD")
    assert value_and_origin(done.stdout, "umask") == ("-", "default")
    shown = json.loads(config(unchanged, "--running", "--json").stdout)
    assert shown["options"]["workers"] == {"value": 2, "origin": "corn.toml"}
    assert shown["options"]["uds_mode"] == {"value": "666", "origin": "default"}
    assert shown["options"]["ssl_keyfile_password"]["value"] == "********"
    assert shown["file"] == str(unchanged.directory / "corn.toml")
    assert shown["instance"]["pid"] == unchanged.pid
    assert "unspoken" not in done.stdout + json.dumps(shown)


@pytest.mark.parametrize("name", ["pid", "address", "port", "file"])
def test_instance_is_named_by_process_id_address_or_file(unchanged, name):
    names = {
        "pid": str(unchanged.pid),
        "address": unchanged.address.removeprefix("https://"),
        "port": unchanged.address.rpartition(":")[2],
        "file": str(unchanged.directory / "corn.toml"),
    }
    assert config(unchanged, "--running", names[name]).returncode == 0
    assert config(unchanged, "--running", names[name], "--diff").returncode == 0


def test_diff_shows_changes_that_reload_then_makes(served):
    done = config(served, "--diff")
    assert (done.returncode, done.stdout) == (0, "a reload would change no option\n")
    (served.directory / "corn.toml").write_text(FILE.replace("workers = 2", "workers = 3") + "date_header = false\n")
    served.output_of("log-level", "debug")
    served.output_of("scale", "4", "--wait")
    done = config(served, "--diff")
    assert (done.returncode, done.stdout.splitlines()) == (
        1,
        [
            "workers      4 (corn scale) -> 3 (corn.toml)",
            "date_header  true (default) -> false (corn.toml)",
            "log_level    debug (corn log-level) -> info (default)",
        ],
    )
    assert value_and_origin(config(served, "--running").stdout, "workers") == ("4", "corn scale")
    changes = json.loads(config(served, "--diff", "--json").stdout)["changes"]
    assert changes[1] == {
        "option": "date_header",
        "from": {"value": True, "origin": "default"},
        "to": {"value": False, "origin": "corn.toml"},
        "needs_restart": False,
    }
    served.output_of("reload", "--wait")
    assert config(served, "--diff").returncode == 0
    running = config(served, "--running").stdout
    assert value_and_origin(running, "workers") == ("3", "corn.toml")
    assert value_and_origin(running, "log_level") == ("info", "default")


def test_diff_of_unacceptable_configuration_exits_with_2(served):
    (served.directory / "corn.toml").write_text(FILE + "date_header = false\numask = '027'\n")
    done = config(served, "--diff")
    assert (done.returncode, done.stdout.splitlines()) == (
        2,
        [
            "umask        - (default) -> 027 (corn.toml), by a restart",
            "date_header  true (default) -> false (corn.toml)",
        ],
    )
    refusal = "a reload would be refused: umask cannot change from unset to 027 without a restart"
    assert done.stderr.splitlines()[-1] == f"corn: {refusal}"
    (served.directory / "corn.toml").write_text(FILE + "wokers = 3\n")
    done = config(served, "--diff", "--json")
    assert done.returncode == 2
    assert json.loads(done.stdout)["refused"] == "corn.toml: unknown option 'wokers'; did you mean 'workers'?"
    assert served.status()["phase"] == "serving"


def test_refused_reload_leaves_running_configuration_unchanged(served):
    (served.directory / "corn.toml").write_text(FILE + "date_header = false\n")
    (served.directory / "main.py").write_text("1 / 0\n")
    assert served.ask("reload", "--wait").returncode == 1
    assert value_and_origin(config(served, "--running").stdout, "date_header") == ("true", "default")
    assert config(served, "--diff").returncode == 1


def test_options_of_another_configuration_are_refused_beside_it(unchanged):
    for more, said in ((["--port", "1"], "leave out --port"), (["--check"], "leave out --check")):
        done = config(unchanged, *more, "--running")
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == f"corn: a running instance has its own options; {said}\n"
    assert config(unchanged, "--running", "nothing-like-it").returncode == 6
