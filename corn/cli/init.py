"""`corn init`: a commented corn.toml for the application of a project, and files to deploy it with."""

from __future__ import annotations

import json
import re
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import click

import corn
from corn.cli.discovery import find
from corn.config.types import ApplicationName
from corn.errors import ConfigError

_TEMPLATES = Path(__file__).with_name("templates")
_WHEEL = "corn_server-*.whl"
_FILES = {"docker": "Dockerfile", "compose": "compose.yaml", "kubernetes": "kubernetes.yaml"}


@click.command(short_help="Write a commented corn.toml, and files to deploy with.")
@click.argument("app", metavar="[APP]", required=False)
@click.option("--systemd", is_flag=True, help="Also write a systemd unit.")
@click.option("--docker", is_flag=True, help="Also write a Dockerfile.")
@click.option("--compose", is_flag=True, help="Also write a compose file, and the Dockerfile it builds.")
@click.option("--kubernetes", is_flag=True, help="Also write a Kubernetes manifest.")
@click.option("--force", is_flag=True, help="Overwrite files that exist.")
def init(*, app: str | None, force: bool, **wanted: bool) -> int:
    """Write a commented corn.toml for APP, or for the application that is found in this directory.

    Nothing is written if one of the files exists, unless --force is given.
    """
    values = _values(app)
    names = [name for name, is_wanted in wanted.items() if is_wanted]
    if "compose" in names and "docker" not in names and not Path("Dockerfile").exists():
        names.append("docker")
    files = {Path("corn.toml"): _filled("corn.toml", values)}
    for name in names:
        if name == "systemd":
            files[Path(f"{values['NAME']}.service")] = _filled("systemd.service", values)
        else:
            files[Path(_FILES[name])] = _filled(_FILES[name], values)
    if "docker" in names and not Path(".dockerignore").exists():
        files[Path(".dockerignore")] = _filled("dockerignore", values)
    existing = [str(path) for path in files if path.exists()]
    if existing and not force:
        raise ConfigError(f"{', '.join(existing)} exists; use --force to overwrite it")
    for path, text in files.items():
        try:
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"{path}: cannot be written: {error.strerror}") from None
        click.echo(f"wrote {path}")
    source = _source()
    if "docker" in names and source is not None and not any(Path().glob(_WHEEL)):
        click.echo(f"Put corn's wheel here before the build: pip wheel --no-deps {source}", err=True)
    return 0


def _values(app: str | None) -> dict[str, str]:
    """Values for the placeholders of the templates."""
    more = []
    if app is None:
        found = find(Path())
        if found is None:
            raise ConfigError("no application found in this directory; name one, as in 'corn init main:app'")
        app = found.app
        click.echo(f"Found {app} in {found.file}.", err=True)
        more = [f'app_dir = "{found.app_dir}"'] if found.app_dir != "." else []
        more += ["factory = true"] if found.factory else []
    try:
        ApplicationName().parse(app)
    except ValueError as error:
        raise ConfigError(f"APP: '{app}' is wrong; {error}") from None
    here = Path.cwd()
    return {
        "APP": app,
        "MORE": "".join(f"{line}\n" for line in more),
        "NAME": re.sub(r"[^a-z0-9-]+", "-", here.name.lower()).strip("-") or "web",
        "DIRECTORY": str(here),
        "CORN": str(Path(sys.executable).with_name("corn")),
        "PYTHON": f"{sys.version_info.major}.{sys.version_info.minor}",
        "INSTALL": _install(here),
    }


def _install(directory: Path) -> str:
    """The lines of a Dockerfile that install corn and the project's packages."""
    source = _source()
    files, packages = [], ["corn-server"]
    if source is not None:
        files, packages = [_WHEEL], [f"./{_WHEEL}"]
    if (directory / "requirements.txt").exists():
        files, packages = [*files, "requirements.txt"], [*packages, "-r requirements.txt"]
    elif (directory / "pyproject.toml").exists():
        files, packages = ["."], [*packages, "."]
    note = [] if source is None else [f"# The wheel of corn: pip wheel --no-deps {source}"]
    copied = [f"COPY {' '.join(files)} ./"] if files else []
    return "\n".join([*note, *copied, f"RUN pip install --no-cache-dir {' '.join(packages)}"])


def _source() -> str | None:
    """What this corn was installed from, None for the package index (PEP 610)."""
    try:
        origin = distribution("corn-server").read_text("direct_url.json")
    except PackageNotFoundError:
        return str(Path(corn.__file__).parent.parent)
    return json.loads(origin)["url"].removeprefix("file://") if origin else None


def _filled(template: str, values: dict[str, str]) -> str:
    text = (_TEMPLATES / template).read_text(encoding="utf-8")
    return re.sub(r"@([A-Z]+)@", lambda match: values[match[1]], text)
