"""Options of other servers and their counterparts in corn, read from peers.toml.

Only loaded for unknown options and for `corn import`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from corn.frozen import frozen

TABLE = Path(__file__).with_name("peers.toml")


@frozen
class PeerOption:
    """An option of another server.

    `flags` are its spellings on the command line, the long one last; `setting` is its name in a configuration file.
    `corn` are the corresponding options of corn, as on the command line; empty if there are none. `converts`: they take
    other values.
    """

    peer: str
    flags: tuple[str, ...]
    setting: str
    corn: tuple[str, ...]
    remark: str
    converts: bool = False

    def has(self, word: str) -> bool:
        """True if a flag (also one with --no-), a setting or the rest of a variable's name is that of this option."""
        if word.startswith("-"):
            return word in self.flags or word.replace("--no-", "--", 1) in self.flags
        return word.replace("-", "_").lower() == self.setting


@cache
def peer_options() -> tuple[PeerOption, ...]:
    """All options of all peers."""
    return tuple(
        option for peer, about in tables().items() for row in about["options"] for option in _options(peer, row)
    )


@cache
def tables() -> dict[str, Any]:
    """Content of the file: by peer, its title and its rows."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    tables: dict[str, Any] = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    return tables


def _options(peer: str, row: dict[str, Any]) -> Iterator[PeerOption]:
    theirs, ours = row["theirs"], row["corn"]
    for index, spellings in enumerate(theirs):
        flags = tuple(spellings.split("/"))
        corn = (ours[index],) if len(ours) == len(theirs) else tuple(ours)
        setting = row["setting"][index] if "setting" in row else flags[-1].lstrip("-").replace("-", "_")
        remark = row.get("remark", "").replace("`", "")
        yield PeerOption(peer, flags, setting, corn, remark, row.get("converts", False))


def find_options(words: Iterable[str]) -> dict[str, PeerOption]:
    """Find the options of other servers in `words`; the peer that has most of them is preferred."""
    wanted = list(words)
    known = {peer: {word: each for word in wanted for each in of_peer(peer) if each.has(word)} for peer in tables()}
    found: dict[str, PeerOption] = {}
    for peer in sorted(known, key=lambda each: -len(known[each])):
        for word, option in known[peer].items():
            found.setdefault(word, option)
    return found


def of_peer(peer: str) -> tuple[PeerOption, ...]:
    """Options of one peer."""
    return tuple(each for each in peer_options() if each.peer == peer)


def counterpart(option: PeerOption, form: str = "flag") -> str:
    """Describe corn's counterpart of an option in the form of a command line ("flag"), a file ("key") or a variable."""
    if not option.corn:
        return f"corn has no counterpart{f': {option.remark}' if option.remark else ''}"
    ours = " and ".join(_written(each, form) for each in option.corn)
    return f"use {ours}{f' ({option.remark})' if option.remark else ''}"


def _written(counterpart: str, form: str) -> str:
    """Write `--limit-body` as a TOML key or as a variable; a command, or an option with a value, stays as it is."""
    if form == "flag" or not re.fullmatch(r"--[a-z0-9-]+", counterpart):
        return counterpart
    name = counterpart.removeprefix("--").removeprefix("no-").replace("-", "_")
    return f"CORN_{name.upper()}" if form == "variable" else name
