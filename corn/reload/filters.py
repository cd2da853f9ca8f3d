"""Watch filter of `corn dev`: the watched files, and the effect of a change of each. Pure except for resolving paths.

One rule set, in this order; the first that matches decides:

1. a file outside of all watched directories does not count
2. a file that matches --reload-exclude does not count
3. a file that matches --reload-include counts, and reloads
4. a file in an ignored directory, or with the name of an editor's or a tool's own file, does not count
5. a file that matches a name in `_EFFECTS` counts, with that effect; no other file does

Patterns are those of the shell (fnmatch). A pattern without a slash is compared with the name of the file, and with the
names of the directories above it up to the watched one; a pattern with a slash, with the path below the watched one.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from fnmatch import fnmatchcase

from corn.frozen import frozen

RELOAD, COLD, ASSET = "reload", "cold", "asset"

_IGNORED_DIRECTORIES = (
    *(".*", "__pycache__", "node_modules", "bower_components", "site-packages", "dist-packages", "__pypackages__"),
    *("venv", "virtualenv", "*.egg-info", "*.dist-info", "htmlcov"),
)
_IGNORED_FILES = ("*~", "#*#", "*.sw?", "*.tmp", "*.bak", "*.pyc", "*.pyo", "___jb_*", "4913", "flycheck_*")
_EFFECTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (COLD, ("pyproject.toml", "corn.toml", "*.so", "*.pyd")),
    (RELOAD, (".env", ".env.*", "*.py", "*.pyx", "*.toml", "*.yaml", "*.yml", "*.ini", "*.cfg")),
    (RELOAD, ("*.html", "*.htm", "*.jinja", "*.jinja2", "*.j2", "*.mako", "*.tmpl", "*.mo", "*.sql", "*.graphql")),
    (ASSET, ("*.css", "*.js", "*.mjs", "*.svg", "*.png", "*.jpg", "*.jpeg", "*.gif", "*.webp", "*.woff2")),
)
_VISIBLE = (".env", ".env.*")


@frozen
class FilterResult:
    """Result for a file: the effect of a change, "" if the file does not count, and the reason."""

    effect: str
    why: str

    @property
    def counts(self) -> bool:
        return bool(self.effect)


@frozen
class WatchFilter:
    """The rule set for some watched directories, absolute and resolved.

    `files` count in any directory, as the environment: the configuration file and the env files.
    """

    directories: tuple[str, ...]
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    files: tuple[str, ...] = ()

    def classify(self, path: str) -> FilterResult:
        """Classify the file at an absolute path; it need not exist."""
        if path in self.files:
            return FilterResult(COLD, "it is the configuration file or an env file")
        root = self.root_of(path)
        if root is None:
            return FilterResult("", f"it is in none of the watched directories ({', '.join(self.directories)})")
        parts = os.path.relpath(path, root).split(os.sep)
        if pattern := _matching(self.exclude, parts):
            return FilterResult("", f"--reload-exclude {pattern}")
        if pattern := _matching(self.include, parts):
            return FilterResult(RELOAD, f"--reload-include {pattern}")
        return _by_default(parts)

    def root_of(self, path: str) -> str | None:
        """The innermost watched directory that a path is in."""
        roots = [each for each in self.directories if path.startswith(each.rstrip(os.sep) + os.sep)]
        return max(roots, key=len, default=None)

    def includes_directory(self, directory: str) -> bool:
        """True if any file in a directory, given by absolute path, may count."""
        root = self.root_of(directory)
        if root is None:
            return directory in self.directories
        parts = os.path.relpath(directory, root).split(os.sep)
        if _matching(self.exclude, parts):
            return False
        if not any(_ignored_directory(each) for each in parts):
            return not os.path.exists(os.path.join(directory, "pyvenv.cfg"))
        return any(_may_lead_into(pattern, parts) for pattern in self.include)


def _by_default(parts: Sequence[str]) -> FilterResult:
    *directories, name = parts
    for each in directories:
        if pattern := _ignored_directory(each):
            return FilterResult("", f"directories like {pattern} are ignored; --reload-include {each} overrides that")
    if pattern := next((each for each in _IGNORED_FILES if fnmatchcase(name, each)), ""):
        return FilterResult("", f"files like {pattern} are ignored")
    if name.startswith(".") and not any(fnmatchcase(name, each) for each in _VISIBLE):
        return FilterResult("", "hidden files are ignored")
    for effect, patterns in _EFFECTS:
        for each in patterns:
            if fnmatchcase(name, each):
                return FilterResult(effect, f"files like {each} are watched")
    return FilterResult("", f"files of this kind are not watched; --reload-include {_kind(name)} adds them")


def _kind(name: str) -> str:
    suffix = os.path.splitext(name)[1]
    return f"'*{suffix}'" if suffix else name


def _ignored_directory(name: str) -> str:
    return next((each for each in _IGNORED_DIRECTORIES if fnmatchcase(name, each)), "")


def _matching(patterns: Sequence[str], parts: Sequence[str]) -> str:
    """The first of the patterns that fits a path or one of the directories above it."""
    for pattern in patterns:
        plain = pattern.strip("/").removeprefix("./")
        if "/" not in plain:
            if any(fnmatchcase(each, plain) for each in parts):
                return pattern
        elif any(fnmatchcase("/".join(parts[:length]), plain) for length in range(1, len(parts) + 1)):
            return pattern
    return ""


def _may_lead_into(pattern: str, parts: Sequence[str]) -> bool:
    """True if a pattern names an ignored directory, or a file in one, by name and not by a suffix alone."""
    wanted = pattern.strip("/").removeprefix("./").split("/")
    if len(wanted) == 1:
        return any(fnmatchcase(each, wanted[0]) for each in parts)
    return all(fnmatchcase(part, want) for part, want in zip(parts, wanted, strict=False))
