"""A FastAPI application with a database: one engine per worker, made in the lifespan."""

import contextlib
import os
from collections.abc import AsyncIterator

from fastapi import FastAPI, Request
from sqlalchemy import String, create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

DATABASE = os.environ.get("DATABASE_URL", "sqlite:///shop.db")


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(primary_key=True)
    item: Mapped[str] = mapped_column(String(80))


@contextlib.asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, object]]:
    # Connections must not be shared by a fork, so the engine belongs to the lifespan, which runs in each worker.
    engine = create_engine(DATABASE)
    yield {"engine": engine}
    engine.dispose()


app = FastAPI(lifespan=lifespan)


@app.get("/health")
def health(request: Request) -> dict[str, bool]:
    """The health check of a deploy: fails while the schema is older than the code."""
    with Session(request.state.engine) as session:
        session.execute(select(Order).limit(1))
    return {"ok": True}


@app.post("/orders/{item}")
def place_order(item: str, request: Request) -> dict[str, int]:
    with Session(request.state.engine) as session:
        order = Order(item=item)
        session.add(order)
        session.commit()
        return {"id": order.id}
