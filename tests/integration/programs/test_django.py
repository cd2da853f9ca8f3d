"""A Django project as `startproject` makes it: admin, sessions, static files, a database that is used at import."""

from __future__ import annotations

import http.client
import re
import signal
import subprocess
import sys
from urllib.parse import urlencode, urlsplit

import pytest

from tests.support.corn_process import Served
from tests.support.environment import clean_environment

FILES = {
    "manage.py": """
import os, sys
if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")
    from django.core.management import execute_from_command_line
    execute_from_command_line(sys.argv)
""",
    "mysite/__init__.py": "",
    "mysite/settings.py": """
from pathlib import Path
BASE_DIR = Path(__file__).resolve().parent.parent
SECRET_KEY = "only for tests"
DEBUG = True
ALLOWED_HOSTS = ["*"]
CONTRIB = ["admin", "auth", "contenttypes", "sessions", "messages", "staticfiles"]
INSTALLED_APPS = [f"django.contrib.{each}" for each in CONTRIB]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
ROOT_URLCONF = "mysite.urls"
PROCESSORS = ["django.template.context_processors.request", "django.contrib.auth.context_processors.auth",
              "django.contrib.messages.context_processors.messages"]
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True,
              "OPTIONS": {"context_processors": PROCESSORS}}]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "db.sqlite3"}}
STATIC_URL = "static/"
""",
    "mysite/urls.py": """
import os
from django.contrib import admin
from django.contrib.auth.models import User
from django.http import HttpResponse, HttpResponseRedirect
from django.urls import path
{at_import}
def users(request):
    return HttpResponse(f"{User.objects.count()} {os.getpid()}")
urlpatterns = [path("admin/", admin.site.urls), path("users", users), path("go", lambda r: HttpResponseRedirect("/"))]
""",
}
ENTRY = """
import os
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")
from django.conf import settings
from django.contrib.staticfiles.handlers import {handler}
from django.core.{kind} import get_{kind}_application
application = {handler}(get_{kind}_application())
import mysite.urls
"""
HANDLERS = {"asgi": "ASGIStaticFilesHandler", "wsgi": "StaticFilesHandler"}


def start_project(directory):
    (directory / "mysite").mkdir()
    for name, text in FILES.items():
        (directory / name).write_text(text.replace("{at_import}", ""))
    for kind, handler in HANDLERS.items():
        (directory / "mysite" / f"{kind}.py").write_text(ENTRY.format(kind=kind, handler=handler))
    manage(directory, "migrate", "-v0")
    manage(directory, "createsuperuser", "--noinput", "--username", "boss", "--email", "boss@shop.example")


def manage(directory, *arguments):
    environment = clean_environment(DJANGO_SUPERUSER_PASSWORD="secret-4711")
    subprocess.run([sys.executable, "manage.py", *arguments], cwd=directory, env=environment, check=True, timeout=120)


class Browser:
    """Follows no redirects, and keeps cookies."""

    def __init__(self, address):
        self._where = urlsplit(address)
        self._cookies = {}

    def request(self, method, path, **form):
        connection = http.client.HTTPConnection(self._where.hostname, self._where.port, timeout=20)
        cookies = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        headers = {"Cookie": cookies, "Content-Type": "application/x-www-form-urlencoded"}
        connection.request(method, path, urlencode(form) if form else None, headers)
        answer = connection.getresponse()
        body = answer.read().decode()
        for line in answer.headers.get_all("set-cookie") or []:
            name, _, value = line.partition(";")[0].partition("=")
            self._cookies[name] = value
        connection.close()
        return answer, body


@pytest.mark.parametrize("kind", ["asgi", "wsgi"])
def test_admin_session_outlives_crash_and_reload(tmp_path, kind):
    start_project(tmp_path)
    arguments = (f"mysite.{kind}:application", "--port", "0", "--workers", "2", "--soak", "0")
    with Served(tmp_path, *arguments).wait_ready() as served:
        assert "preload app)" in served.output
        browser = Browser(served.address)
        _, page = browser.request("GET", "/admin/login/")
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)[1]
        form = {"csrfmiddlewaretoken": token, "username": "boss", "password": "secret-4711", "next": "/admin/"}
        answer, _ = browser.request("POST", "/admin/login/", **form)
        assert (answer.status, answer.headers["location"]) == (302, "/admin/")
        assert "Site administration" in browser.request("GET", "/admin/")[1]
        answer, body = browser.request("GET", "/static/admin/css/base.css")
        assert answer.status == 200 and answer.headers["content-type"].startswith("text/css") and len(body) > 1000
        answer, body = browser.request("GET", "/go")
        assert (answer.status, answer.headers["content-length"], body) == (302, "0", "")
        victim = served.workers()[0]
        victim.kill()
        served.wait_for("replaced at once")
        served.signal(signal.SIGHUP)
        served.wait_for("reloaded: generation 2 serves")
        for _ in range(8):
            assert "Site administration" in browser.request("GET", "/admin/")[1]
        served.signal(signal.SIGTERM)
        assert served.wait_exit() == 0
        assert "Traceback" not in served.output


def test_query_at_import_steps_down_and_names_project_module(tmp_path):
    start_project(tmp_path)
    (tmp_path / "mysite" / "urls.py").write_text(
        FILES["mysite/urls.py"].replace("{at_import}", "COUNT = User.objects.count()")
    )
    with Served(tmp_path, "mysite.wsgi:application", "--port", "0", "--workers", "2").wait_ready() as served:
        served.wait_for(
            r"not safe to fork with --preload app: mysite\.urls opened a file \(.*db\.sqlite3\); using deps"
        )
        answers = {served.client().get("/users") for _ in range(16)}
        assert {each.split()[0] for each in answers} == {"1"}
