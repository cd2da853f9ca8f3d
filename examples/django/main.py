"""A Django project in one file, with a model in SQLite."""

import os

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
            "NAME": "visits.sqlite3",
        }
    },
)
django.setup()


class Visit(models.Model):
    worker = models.IntegerField()

    class Meta:
        app_label = "example"


def create_table() -> None:
    """Create the table as `manage.py migrate` does, and close the connection, which no worker may share."""
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
