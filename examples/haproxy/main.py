"""The application behind HAProxy: says which client it sees."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route


async def index(request: Request) -> PlainTextResponse:
    return PlainTextResponse(f"hello {request.client.host}\n")


app = Starlette(routes=[Route("/", index)])
