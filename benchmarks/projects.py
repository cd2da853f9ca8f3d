"""Projects that benchmarks/reload.py edits.

`tiny` imports nothing. `heavy` is of typical size: FastAPI with a router, pydantic models, SQLAlchemy tables, numpy and
pandas, in four modules of its own. The edited file is `main.py`, which imports the others.
"""

from __future__ import annotations

from pathlib import Path

_TINY = """\
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    await send({{"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]}})
    await send({{"type": "http.response.body", "body": b"version {version}"}})
"""
_MAIN = """\
import numpy as np
import pandas as pd
from fastapi import FastAPI
from fastapi.responses import PlainTextResponse

from routes import router

app = FastAPI()
app.include_router(router)
FRAME = pd.DataFrame({{"value": np.arange(10)}})


@app.get("/", response_class=PlainTextResponse)
async def version() -> str:
    return "version {version}"
"""
_TABLES = """\
from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Base(DeclarativeBase):
    pass
"""
_TABLE = """\


class Item{number}(Base):
    __tablename__ = "item{number}"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50))
    note: Mapped[str | None]
    price: Mapped[float]
"""
_SCHEMAS = "from pydantic import BaseModel, Field\n"
_SCHEMA = """\


class Item{number}(BaseModel):
    id: int
    name: str = Field(max_length=50)
    note: str | None = None
    price: float = Field(ge=0)
"""
_ROUTES = """\
from fastapi import APIRouter
from sqlalchemy import select

import schemas
import tables

router = APIRouter()
"""
_ROUTE = """\


@router.get("/items{number}/{{item}}")
async def read{number}(item: int) -> schemas.Item{number}:
    select(tables.Item{number})
    return schemas.Item{number}(id=item, name="x", price=1)


@router.post("/items{number}")
async def write{number}(item: schemas.Item{number}) -> schemas.Item{number}:
    return item
"""
_KINDS_OF_ITEM = 12


def _many(first: str, each: str) -> str:
    return first + "".join(each.format(number=number) for number in range(_KINDS_OF_ITEM))


EDITED = {"tiny": _TINY, "heavy": _MAIN}
_REST = {
    "tiny": {},
    "heavy": {
        "tables.py": _many(_TABLES, _TABLE),
        "schemas.py": _many(_SCHEMAS, _SCHEMA),
        "routes.py": _many(_ROUTES, _ROUTE),
    },
}


def write(kind: str, directory: Path, version: int) -> None:
    """Write a project of this kind into the directory."""
    for name, source in _REST[kind].items():
        (directory / name).write_text(source)
    save(kind, directory, version)


def save(kind: str, directory: Path, version: int) -> None:
    """Save `main.py` as an editor does, with a new version number."""
    (directory / "main.py").write_text(EDITED[kind].format(version=version))
