"""Names in the documentation: options, commands, files and tests exist, and options said to be missing are missing."""

from __future__ import annotations

import html
import re
from pathlib import Path

import click
import pytest

from corn.cli.group import corn
from corn.config.schema import OPTIONS
from tests.support.doc_session import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
MIGRATIONS = [page for page in PAGES if page.name.startswith("from-")]
PROSE = [page for page in PAGES if page not in MIGRATIONS and page.name != "CHANGELOG.md"]
FORMER = {"logs", "ps"}  # hidden aliases for one release
OF_COMMANDS = {"--config", "--check-config", "--version", "--help"}


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def rows(page: Path) -> list[list[str]]:
    """Table cells, without the heads."""
    lines = [line for line in page.read_text().splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    dividers = {number for number, row in enumerate(cells) if set(row[0]) == {"-"}}
    return [row for number, row in enumerate(cells) if not {number, number + 1} & dividers]


def server_options() -> set[str]:
    flags = {flag for option in OPTIONS for flag in (option.flag, *option.aliases)} | OF_COMMANDS
    return flags | {flag.replace("--", "--no-", 1) for flag in flags}


def commands() -> dict[str, click.Command]:
    context = click.Context(corn)
    found = {name: corn.get_command(context, name) for name in corn.list_commands(context)}
    return {name: command for name, command in found.items() if command is not None}


def all_options() -> set[str]:
    of_commands = {flag for command in commands().values() for each in command.params for flag in each.opts}
    return server_options() | of_commands


def code_of(page: Path) -> list[str]:
    """Code spans, and the lines of console and shell blocks."""
    text = page.read_text()
    spans = re.findall(r"(?<!`)`([^`\n]+)`(?!`)", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))
    blocks = re.findall(r"^```(?:console|sh)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [*spans, *(line.strip() for block in blocks for line in block.splitlines())]


@pytest.mark.parametrize("page", MIGRATIONS, ids=name_of)
def test_migration_table_names_existing_options(page: Path) -> None:
    known = server_options()
    for theirs, ours, *_ in rows(page):
        is_same = ours.startswith("the same")
        named = re.findall(r"--[a-z][a-z0-9-]*", theirs if is_same else ours)
        assert named or is_same or ours == "not there" or "`" in ours, f"{theirs}: {ours}"
        assert set(named) <= known, f"{theirs}: {sorted(set(named) - known)}"


@pytest.mark.parametrize("page", MIGRATIONS, ids=name_of)
def test_migration_table_denies_missing_options_only(page: Path) -> None:
    known = server_options()
    denied = {
        flag for theirs, ours, *_ in rows(page) if ours == "not there" for flag in re.findall(r"--[a-z-]+", theirs)
    }
    # The same word for another thing: uvicorn's --http chooses a parser, corn's a version of the protocol.
    assert denied & known <= {"--http"}, f"corn has {sorted(denied & known)}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_page_links_to_existing_files(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), target


def anchors_of(page: Path) -> set[str]:
    """Anchors of the headings: lower case, without punctuation, with hyphens for spaces."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_page_links_to_existing_headings(page: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", page.read_text()):
        linked = page.parent / target if target else page
        assert anchor in anchors_of(linked), f"{target}#{anchor}"


@pytest.mark.parametrize("page", PROSE, ids=name_of)
def test_page_names_existing_files(page: Path) -> None:
    named = set(
        re.findall(
            r"(?<![\w./-])((?:corn|tests|examples|benchmarks|docs)/[\w./-]+\.(?:py|md|toml|js|css|html|cfg|conf))\b",
            page.read_text(),
        )
    )
    assert not {name for name in named if not (ROOT / name).exists()}


@pytest.mark.parametrize("page", PROSE, ids=name_of)
def test_page_names_existing_tests(page: Path) -> None:
    files = list((ROOT / "tests").rglob("test_*.py"))
    known = {file.stem for file in files}
    known |= {
        name for file in files for name in re.findall(r"^ *(?:async )?def (test_\w+)", file.read_text(), re.MULTILINE)
    }
    assert set(re.findall(r"`(test_\w+)(?:\.py)?`", page.read_text())) <= known


@pytest.mark.parametrize("page", PROSE, ids=name_of)
def test_page_names_existing_commands_and_options(page: Path) -> None:
    known, options = commands(), all_options()
    for code in code_of(page):
        named = re.findall(r"(?:^|[\s$(/])corn ([a-z][a-z-]*)", code)
        assert set(named) <= known.keys() | {"serves", "worker", "template"} | FORMER, code
        is_ours = bool(named) or code.startswith("--")
        if is_ours:
            used = set(re.findall(r"(?<!\S)(--[a-z][a-z0-9-]*)", code.partition(" | ")[0]))
            assert used <= options, f"{sorted(used - options)} in: {code}"


SOURCE = re.sub(r'"\s*\n\s*f?"', "", "".join(each.read_text() for each in (ROOT / "corn").rglob("*.py")))


@pytest.mark.parametrize("page", PROSE, ids=name_of)
def test_page_quotes_log_lines_of_code(page: Path) -> None:
    """Runs of two words and more; what is between them, such as numbers and names, differs."""
    lines = [line for line in page.read_text().splitlines() if re.search(r"\b(INFO|WARNING|ERROR) +master ", line)]
    runs = [run for line in lines for run in re.findall(r"[a-z]+(?: [a-z]+)+", line.partition("]")[2])]
    assert not [run for run in runs if run not in SOURCE and "serves" not in run]


def test_terminal_picture_quotes_messages_of_code() -> None:
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", (ROOT / "docs/images/terminal.svg").read_text())
    (message,) = [text for text in texts if "corn:&#160;reload&#160;refused" in text]
    runs = re.findall(r"[a-z]+(?: [a-z]+)+", html.unescape(message).replace("\xa0", " ").replace(": main ", ": "))
    assert len(runs) == 3
    assert not [run for run in runs if run not in SOURCE]
