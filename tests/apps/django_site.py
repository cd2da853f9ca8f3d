"""The site that tests/frameworks drives, in Django: as `asgi` with Channels, and as `wsgi`. One file is all of it."""

import asyncio
import hashlib
import json
from pathlib import Path

import django
from channels.generic.websocket import WebsocketConsumer
from channels.routing import ProtocolTypeRouter, URLRouter
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.handlers.asgi import ASGIRequest
from django.core.signals import request_finished
from django.core.wsgi import get_wsgi_application
from django.http import FileResponse, HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import path
from page import PAGE

settings.configure(
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="for tests",
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
    LOGGING={
        "version": 1,
        "disable_existing_loggers": False,
        "handlers": {"stderr": {"class": "logging.StreamHandler"}},
        "root": {"handlers": ["stderr"]},
    },
)
django.setup()


def hello(request):
    response = HttpResponse("hello from django", content_type="text/plain")
    response.set_cookie("one", "1")
    response.set_cookie("two", "2")
    return response


def item(request, number):
    return JsonResponse({"item": number, "q": request.GET["q"]})


def echo(request):
    return JsonResponse(json.loads(request.body))


def upload(request):
    file, digest = request.FILES["file"], hashlib.sha256()
    for part in file.chunks():
        digest.update(part)
    return JsonResponse({"name": file.name, "size": file.size, "sha256": digest.hexdigest()})


def stream(request):
    """Django wants an asynchronous iterator where it is served as ASGI."""

    async def ticks():
        for number in range(3):
            yield f"tick {number}\n"
            await asyncio.sleep(0.01)

    is_asynchronous = isinstance(request, ASGIRequest)
    content = ticks() if is_asynchronous else (f"tick {number}\n" for number in range(3))
    return StreamingHttpResponse(content, content_type="text/plain")


async def events(request):
    async def generate():
        number = 0
        while True:
            yield f"data: event {number}\n\n"
            number += 1
            await asyncio.sleep(0.05)

    return StreamingHttpResponse(generate(), content_type="text/event-stream")


def file(request):
    return FileResponse(Path(__file__).open("rb"))


def fail(request):
    raise ValueError("broken on purpose")


def later(request):
    request_finished.connect(say_later)
    return HttpResponse("now")


def say_later(**_):
    request_finished.disconnect(say_later)
    print("django: later", flush=True)


def page(request):
    return HttpResponse(PAGE)


def done(request):
    return HttpResponse("done")


class Echo(WebsocketConsumer):
    def receive(self, text_data=None, bytes_data=None):
        self.send(f"echo {text_data}")


urlpatterns = [
    path("", hello),
    path("items/<int:number>", item),
    path("echo", echo),
    path("upload", upload),
    path("stream", stream),
    path("events", events),
    path("file", file),
    path("fail", fail),
    path("later", later),
    path("page", page),
    path("done", done),
]

asgi = ProtocolTypeRouter(
    {"http": get_asgi_application(), "websocket": URLRouter([path("ws", Echo.as_asgi())])},
)
wsgi = get_wsgi_application()
