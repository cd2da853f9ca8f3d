"""A Starlette application: lifespan state, JSON in and out, a streamed response."""

import asyncio
import contextlib
import os
import time

from starlette.applications import Starlette
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route


@contextlib.asynccontextmanager
async def lifespan(app):
    yield {"started": time.time()}


async def status(request):
    return JSONResponse({"worker": os.getpid(), "started": request.state.started})


async def total(request):
    """Add up the numbers of a JSON list."""
    return JSONResponse({"total": sum(await request.json())})


async def clock(request):
    """Send the time, once a tenth of a second, as many times as the path says."""

    async def ticks():
        for _ in range(request.path_params["count"]):
            yield f"{time.time():.1f}\n"
            await asyncio.sleep(0.1)

    return StreamingResponse(ticks(), media_type="text/plain")


app = Starlette(
    routes=[Route("/", status), Route("/total", total, methods=["POST"]), Route("/clock/{count:int}", clock)],
    lifespan=lifespan,
)
