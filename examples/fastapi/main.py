"""A FastAPI application: the lifespan loads what requests use, JSON is validated, a table is streamed."""

import contextlib
import os
from collections.abc import AsyncIterator

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel


class Order(BaseModel):
    item: str
    count: int = 1


@contextlib.asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, dict[str, float]]]:
    yield {"prices": {"corn": 0.5, "beans": 1.25}}


app = FastAPI(lifespan=lifespan)


@app.get("/")
async def status(request: Request) -> dict[str, int]:
    return {"worker": os.getpid(), "items": len(request.state.prices)}


@app.post("/orders")
async def place_order(order: Order, request: Request) -> dict[str, float]:
    price = request.state.prices.get(order.item)
    if price is None:
        raise HTTPException(404, f"no such item: {order.item}")
    return {"total": price * order.count}


@app.get("/prices.csv")
async def export_prices(request: Request) -> StreamingResponse:
    rows = (f"{item},{price}\n" for item, price in request.state.prices.items())
    return StreamingResponse(rows, media_type="text/csv")
