"""Table of the options of other servers: complete, and with existing counterparts only."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from corn.cli.group import corn
from corn.config.peers import counterpart, find_options, of_peer, peer_options, tables
from corn.config.schema import OPTIONS

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

RECORDED = tomllib.loads(Path(__file__).with_name("peer_flags.toml").read_text())
PEERS = list(RECORDED)
OF_COMMANDS = {"--config", "--check-config", "--version"}


def flags_of_help(text):
    return sorted({*re.findall(r"(?<![\w-])--[a-z][\w-]*\w", text)} - {"--help", "--version"})


def helps():
    """Output of `--help` of the peers installed in CORN_TEST_PEERS, or for benchmarks."""
    path = os.environ.get("CORN_TEST_PEERS", str(Path(__file__).parents[2] / ".venv-bench" / "bin"))
    for peer in PEERS:
        command = [shutil.which(peer, path=path), *(["run"] if peer == "fastapi" else []), "--help"]
        if command[0] is not None:
            environment = os.environ | {"COLUMNS": "300", "TERM": "dumb"}
            done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
            if done.returncode == 0:
                yield peer, done.stdout


@pytest.mark.parametrize("peer", PEERS)
def test_table_has_all_options_of_peer(peer):
    options = of_peer(peer)
    assert [flag for flag in RECORDED[peer] if not any(each.has(flag) for each in options)] == []
    listed = {flag for each in options for flag in each.flags if flag.startswith("--")}
    assert listed - {"--version"} <= set(RECORDED[peer])


def test_recorded_options_match_installed_peers():
    shown = dict(helps())
    if not shown:
        pytest.skip("none of the other servers is installed; CORN_TEST_PEERS names the directory of their commands")
    assert {peer: flags_of_help(text) for peer, text in shown.items()} == {peer: RECORDED[peer] for peer in shown}


@pytest.mark.parametrize("option", peer_options(), ids=lambda each: f"{each.peer} {each.flags[-1]}")
def test_counterpart_is_existing_option_or_command(option):
    flags = {flag for each in OPTIONS for flag in (each.flag, *each.aliases)} | OF_COMMANDS
    flags |= {flag.replace("--", "--no-", 1) for flag in flags}
    commands = corn.list_commands(click.Context(corn))
    for each in option.corn:
        words = each.split()
        assert words[0] in {*flags, "APP", "corn"}
        assert words[0] != "corn" or words[1] in {*commands, "--version"}
        assert {word for word in words if word.startswith("--")} <= flags


def test_gunicorn_settings_have_their_own_names():
    (option,) = (each for each in of_peer("gunicorn") if each.has("keepalive"))
    assert option.flags == ("--keep-alive",)
    assert any(each.has("accesslog") for each in of_peer("gunicorn"))


def test_peer_matching_most_words_is_preferred():
    assert {each.peer for each in find_options(["-k", "--threads", "--keep-alive"]).values()} == {"gunicorn"}
    assert {each.peer for each in find_options(["-k", "--quic-bind", "--keep-alive"]).values()} == {"hypercorn"}
    assert find_options(["--zzz", "max_requests"]).keys() == {"max_requests"}


@pytest.mark.parametrize(
    ("word", "form", "said"),
    [
        ("--max-requests", "flag", "use --limit-max-requests"),
        ("max_requests", "key", "use limit_max_requests"),
        ("MAX_REQUESTS", "variable", "use CORN_LIMIT_MAX_REQUESTS"),
        ("--spew", "flag", "corn has no counterpart"),
        ("--reload-engine", "key", "use corn dev --reload-polling"),
    ],
)
def test_counterpart_has_form_of_its_source(word, form, said):
    (option,) = (each for each in of_peer("gunicorn") if each.has(word))
    assert counterpart(option, form) == said


def test_migration_page_contains_peer_table():
    for peer, about in tables().items():
        page = Path(__file__).parents[2] / "docs" / "how-to" / f"from-{peer}.md"
        assert f"| {about['title']} | corn | remark |" in page.read_text()
