"""The frameworks, each with the application in tests/apps that is written in it, and what it has."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

APPS = Path(__file__).parent.parent / "apps"


@dataclass(frozen=True)
class Site:
    """`greets`: the name it gives itself. `preload`: what of it is safe to fork, so that `auto` must not take less."""

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
    # Its default logging starts a thread while the application is made, so the workers have to make it.
    Site("litestar_site:app", "litestar", preload="deps"),
    Site("django_site:asgi", "django", has_lifespan=False),
    Site("django_site:wsgi", "django", is_asgi=False, has_lifespan=False),
    Site("flask_site:app", "flask", is_asgi=False, has_lifespan=False),
)
