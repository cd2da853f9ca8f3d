"""What docs/how-to names is there: the commands of corn, and the files that it links to."""

import re
from pathlib import Path

import click
import pytest

from corn.cli.commands import corn

HOW_TO = Path(__file__).parent.parent / "docs" / "how-to"
PAGES = sorted(HOW_TO.glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_each_link_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_each_command_of_corn_is_one(page):
    named = set(re.findall(r"(?:^ {4}|`)corn ([a-z]+)", page.read_text(), re.MULTILINE))
    assert named
    assert named <= set(corn.list_commands(click.Context(corn)))
