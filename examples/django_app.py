"""A Django project in one file, with a model in SQLite.

    corn serve django_app:app --app-dir examples --workers 4

A project that `django-admin startproject mysite` made is served by `corn serve mysite.wsgi:application`, or by
`corn serve mysite.asgi:application` where its views are asynchronous.
"""

import os
import tempfile
from pathlib import Path

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.db import connection, models
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1", "localhost"],
    SECRET_KEY=os.environ.get("SECRET_KEY", "not a secret: this is an example"),
    ROOT_URLCONF=__name__,
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": os.environ.get("DATABASE", Path(tempfile.gettempdir()) / "corn-django-example.sqlite3"),
        }
    },
)
django.setup()


class Visit(models.Model):
    worker = models.IntegerField()

    class Meta:
        app_label = "example"


def create_table() -> None:
    """What `manage.py migrate` does in a project; then close the connection, which no worker may inherit."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE IF NOT EXISTS example_visit (id INTEGER PRIMARY KEY, worker INTEGER NOT NULL)")
    connection.close()


def visit(request: HttpRequest) -> JsonResponse:
    Visit.objects.create(worker=os.getpid())
    return JsonResponse({"visits": Visit.objects.count(), "workers": Visit.objects.values("worker").distinct().count()})


def hello(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"Hello from Django {django.__version__}, worker {os.getpid()}\n", content_type="text/plain")


urlpatterns = [path("", hello), path("visit", visit)]
create_table()
app = get_wsgi_application()
