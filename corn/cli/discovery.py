"""Application discovery for `corn serve` and `corn dev` without an APP argument.

Nothing is imported: the sources of likely modules are parsed and searched for the usual names of an application.

    1. [tool.fastapi] entrypoint in pyproject.toml
    2. the project of a Django manage.py
    3. main, app, api, asgi, wsgi and server, as modules here and in src, and in the packages that are there
    4. every other module here and in src

The first step that finds an application decides. If it finds several, none is served and all are listed, because a
wrong choice would only be noticed by its responses.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import click

from corn.cli.resolve import require_application
from corn.config.sources import PYPROJECT, Resolved, read_toml
from corn.errors import ConfigError
from corn.frozen import frozen

_MODULES = ("main", "app", "api", "asgi", "wsgi", "server", "application")
_NAMES = ("app", "application", "create_app", "make_app")
_FACTORIES = frozenset({"create_app", "make_app"})
_CLASSES = frozenset({"FastAPI", "Starlette", "Litestar", "Flask", "Quart", "Sanic", "BlackSheep"})
# Classes whose instances are often called app, but are not web applications.
_OTHER_CLASSES = frozenset({"Typer", "Celery", "Cyclopts", "Dash", "APIRouter", "Blueprint", "Router"})
_NO_PACKAGES = frozenset({"tests", "test", "docs", "examples", "scripts", "migrations", "build", "dist"})
_NO_MODULES = frozenset({"setup", "conftest", "manage", "noxfile", "tasks", "fabfile"})
_MAX_MODULES = 200
_DJANGO = re.compile(r"""DJANGO_SETTINGS_MODULE['"]\s*,\s*['"]([\w.]+)['"]""")


@frozen
class Candidate:
    """Application that was found. `imported` is True if its module only imports it from another one."""

    app: str
    file: Path
    app_dir: str = "."
    factory: bool = False
    imported: bool = False
    settings: str = ""  # Django settings module, if no module of the project makes the application


class ApplicationFinder:
    """Finder for configurations without an application; a reload serves the one that the start has found."""

    def __init__(self) -> None:
        self._found: Candidate | None = None

    def complete(self, resolved: Resolved) -> Resolved:
        """The configuration with an application; raises ConfigError if none is found, or several."""
        if resolved.config.app is not None:
            return resolved
        if self._found is None:
            self._found = find(Path(resolved.config.app_dir))
            if self._found is None:
                return require_application(resolved)
            if resolved.config.log_format != "json":
                click.echo(f"Found {self._found.app} in {self._found.file}.", err=True)
        found = self._found
        if found.settings:
            os.environ.setdefault("DJANGO_SETTINGS_MODULE", found.settings)
        app_dir = str(Path(resolved.config.app_dir, found.app_dir))
        factory = resolved.config.factory or found.factory
        config = replace(resolved.config, app=found.app, app_dir=app_dir, factory=factory)
        return replace(resolved, config=config, origins={**resolved.origins, "app": f"found in {found.file}"})


def find(directory: Path) -> Candidate | None:
    """Find the application of a project, None if there is none.

    Raises ConfigError if there are several, or if there is none and a module has a syntax error.
    """
    for step in (_fastapi, _django, _usual, _others):
        candidates = _distinct(list(step(directory)))
        if len(candidates) == 1:
            return candidates[0]
        if candidates:
            names = ", ".join(_shown(each) for each in candidates)
            raise ConfigError(
                f"several applications were found: {names}; name one, as in 'corn serve {candidates[0].app}', or set "
                "app in corn.toml"
            )
    _refuse_broken(directory)
    return None


def _shown(candidate: Candidate) -> str:
    return candidate.app if candidate.app_dir == "." else f"{candidate.app} (--app-dir {candidate.app_dir})"


def _distinct(candidates: list[Candidate]) -> list[Candidate]:
    """Remove imports of other candidates, and WSGI applications beside ASGI ones, because Django makes both.

    A factory counts if no module calls it.
    """
    own = [each for each in candidates if not each.imported] or candidates[:1]
    own = [each for each in own if not each.factory] or own
    asynchronous = {each.file.parent for each in own if each.file.stem == "asgi"}
    return [each for each in own if each.file.stem != "wsgi" or each.file.parent not in asynchronous]


def _fastapi(directory: Path) -> Iterator[Candidate]:
    path = directory / PYPROJECT
    if not path.is_file():
        return
    tool = read_toml(PYPROJECT, path).get("tool")
    table = tool.get("fastapi") if isinstance(tool, dict) else None
    entrypoint = table.get("entrypoint") if isinstance(table, dict) else None
    if isinstance(entrypoint, str) and entrypoint:
        yield Candidate(entrypoint if ":" in entrypoint else f"{entrypoint}:app", Path(f"{PYPROJECT} [tool.fastapi]"))


def _django(directory: Path) -> Iterator[Candidate]:
    for place in _places(directory):
        found = _DJANGO.search(_text(directory / place / "manage.py"))
        if found is None:
            continue
        packages = found[1].split(".")[:-1]
        for length in range(len(packages), 0, -1):
            for name in ("asgi", "wsgi"):
                file = Path(place, *packages[:length], f"{name}.py")
                if (directory / file).is_file():
                    yield Candidate(".".join([*packages[:length], name]) + ":application", file, place)
                    return
        handler = "django.core.asgi:get_asgi_application"
        yield Candidate(handler, Path(place, "manage.py"), place, factory=True, settings=found[1])
        return


def _usual(directory: Path) -> Iterator[Candidate]:
    for place, file in _usual_files(directory):
        yield from _in_module(directory, place, file)


def _usual_files(directory: Path) -> Iterator[tuple[str, Path]]:
    """Files of the usual modules, there or not, each with the place that it is relative to."""
    for place in _places(directory):
        for name in _MODULES:
            yield place, Path(f"{name}.py")
        for package in _packages(directory / place):
            for name in ("__init__", *_MODULES):
                yield place, Path(package, f"{name}.py")


def _others(directory: Path) -> Iterator[Candidate]:
    for place, file in _other_files(directory):
        yield from _in_module(directory, place, file)


def _other_files(directory: Path) -> Iterator[tuple[str, Path]]:
    for place in _places(directory):
        for file in sorted((directory / place).glob("*.py"))[:_MAX_MODULES]:
            if file.stem.isidentifier() and file.stem not in _NO_MODULES and not file.stem.startswith("test"):
                yield place, Path(file.name)


def _refuse_broken(directory: Path) -> None:
    """Raise ConfigError for the first module that cannot be searched: it may be the application that is missing."""
    for place, file in (*_usual_files(directory), *_other_files(directory)):
        fault = _fault(directory / place / file)
        if fault:
            raise ConfigError(f"no application was found: {Path(place, file)}{fault}")


def _fault(path: Path) -> str:
    """Reason why a module cannot be searched, "" if it can, or does not exist."""
    try:
        ast.parse(path.read_text("utf-8", "replace"))
    except SyntaxError as error:
        return f":{error.lineno}: {error.msg}"
    except (ValueError, RecursionError) as error:
        return f": {error}"
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return ""
    except OSError as error:
        return f": {error.strerror}"
    return ""


def _places(directory: Path) -> list[str]:
    return [".", "src"] if (directory / "src").is_dir() else ["."]


def _packages(directory: Path) -> list[str]:
    try:
        entries = sorted(each for each in directory.iterdir() if each.is_dir())
    except OSError:
        return []
    return [
        each.name
        for each in entries
        if each.name.isidentifier()
        and each.name not in _NO_PACKAGES
        and each.name != "src"
        and not (each / "pyvenv.cfg").exists()
    ]


def _in_module(directory: Path, place: str, file: Path) -> Iterator[Candidate]:
    """Application of a module: the first of the usual names, or else each instance of a framework's class."""
    names = _top_level_names(_text(directory / place / file))
    usual = [each for each in _NAMES if each in names][:1]
    module = ".".join(file.with_suffix("").parts).removesuffix(".__init__")
    for name in usual or [each for each in names if names[each] == _INSTANCE]:
        imported = names[name] == _IMPORTED
        yield Candidate(f"{module}:{name}", Path(place, file), place, name in _FACTORIES, imported)


_DEFINED, _INSTANCE, _IMPORTED = "defined", "made", "imported"


def _top_level_names(source: str) -> dict[str, str]:
    """Names that a module defines, and whether each is imported or an instance of a framework's class."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return {}
    found: dict[str, str] = {}
    for node in _statements(tree.body):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            if node.name not in _FACTORIES or not _requires_arguments(node.args):
                found[node.name] = _DEFINED
        elif isinstance(node, ast.ClassDef):
            found[node.name] = _DEFINED
        elif isinstance(node, ast.ImportFrom):
            found.update((each.asname or each.name, _IMPORTED) for each in node.names)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            called = _called(node.value)
            if called in _OTHER_CLASSES:
                continue
            how = _INSTANCE if called in _CLASSES else _DEFINED
            found.update((each.id, how) for each in targets if isinstance(each, ast.Name))
    return found


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements that are executed at the top level, also under `if`, `try` and `with`."""
    for node in body:
        yield node
        for part in ("body", "orelse", "finalbody"):
            if isinstance(node, (ast.If, ast.Try, ast.With)):
                yield from _statements(getattr(node, part, []))
        if isinstance(node, ast.Try):
            for handler in node.handlers:
                yield from _statements(handler.body)


def _called(value: ast.expr) -> str:
    """The last part of the name that an expression calls, "" where it is no call."""
    if not isinstance(value, ast.Call):
        return ""
    function = value.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _requires_arguments(arguments: ast.arguments) -> bool:
    positional = len(arguments.posonlyargs) + len(arguments.args) > len(arguments.defaults)
    return positional or any(default is None for default in arguments.kw_defaults)


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""
