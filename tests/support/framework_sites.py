"""Frameworks, each with its application in tests/apps and its properties."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

APPS = Path(__file__).parent.parent / "apps"


@dataclass(frozen=True)
class Site:
    """`greets`: name in its greeting. `preload`: the mode that `auto` must choose."""

    app: str
    greets: str
    is_asgi: bool = True
    has_lifespan: bool = True
    preload: str = "app"

    def __str__(self) -> str:
        return self.app.replace("_site", "").removesuffix(":app")


SITES = (
    Site("fastapi_site:app", "fastapi"),
    Site("starlette_site:app", "starlette"),
    Site("quart_site:app", "quart"),
    # Its default logging starts a thread while the application is created, so the workers have to create it.
    Site("litestar_site:app", "litestar", preload="deps"),
    Site("django_site:asgi", "django", has_lifespan=False),
    Site("django_site:wsgi", "django", is_asgi=False, has_lifespan=False),
    Site("flask_site:app", "flask", is_asgi=False, has_lifespan=False),
)
