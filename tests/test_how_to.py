"""What docs/how-to names is there: the options of corn, and the files that it links to."""

import re
from pathlib import Path

import click
import pytest

from corn.cli.group import corn
from corn.config.schema import OPTIONS

HOW_TO = Path(__file__).parent.parent / "docs" / "how-to"
PAGES = sorted(HOW_TO.glob("*.md"))
MOVES = [page for page in PAGES if page.name.startswith("from-")]
OF_COMMANDS = {"--config", "--check-config", "--version"}


def rows(page):
    """The cells of its tables, but for their heads."""
    lines = [line for line in page.read_text().splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    dividers = {number for number, row in enumerate(cells) if set(row[0]) == {"-"}}
    return [row for number, row in enumerate(cells) if not {number, number + 1} & dividers]


def known_options():
    flags = {option.flag for option in OPTIONS} | OF_COMMANDS
    return flags | {flag.replace("--", "--no-", 1) for flag in flags}


@pytest.mark.parametrize("page", MOVES, ids=lambda page: page.stem)
def test_each_option_of_corn_is_one(page):
    known = known_options()
    for theirs, ours, *_ in rows(page):
        is_same = ours.startswith("the same")
        named = re.findall(r"--[a-z][a-z0-9-]*", theirs if is_same else ours)
        assert named or is_same or ours == "not there" or "`" in ours, f"{theirs}: {ours}"
        assert set(named) <= known, f"{theirs}: {sorted(set(named) - known)}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_each_link_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_each_command_of_corn_is_one(page):
    named = set(re.findall(r"(?:^ {4}|`)corn ([a-z][a-z-]*)", page.read_text(), re.MULTILINE))
    assert named
    assert named <= set(corn.list_commands(click.Context(corn)))
