"""FastAPI application with one path parameter, two query parameters and a small JSON response."""

from fastapi import FastAPI

app = FastAPI()


@app.get("/items/{item_id}")
async def item(item_id: int, q: str = "", limit: int = 10) -> dict[str, int | str]:
    return {"item_id": item_id, "q": q, "limit": limit}
