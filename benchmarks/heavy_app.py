"""Application of typical size: FastAPI with a hundred routes, pydantic models, SQLAlchemy tables."""

from __future__ import annotations

from fastapi import FastAPI
from pydantic import create_model
from sqlalchemy import Integer, String, select
from sqlalchemy.orm import DeclarativeBase, mapped_column

app = FastAPI()


class Base(DeclarativeBase):
    pass


def _add(number: int) -> None:
    table = type(
        f"Table{number}",
        (Base,),
        {
            "__tablename__": f"table{number}",
            "id": mapped_column(Integer, primary_key=True),
            **{f"column{each}": mapped_column(String(50)) for each in range(8)},
        },
    )
    model = create_model(f"Model{number}", id=(int, ...), name=(str, "x"), sizes=(list[int], []))

    @app.get(f"/items{number}/{{item}}", response_model=model)
    async def read(item: int) -> dict[str, object]:
        return {"id": item, "name": str(select(table).where(table.id == item)), "sizes": [item] * 5}


for _number in range(100):
    _add(_number)


@app.get("/")
async def root() -> dict[str, str]:
    return {"hello": "world"}
