"""Application discovery: corn serve and corn dev without an application on the command line."""

import pytest

from corn.cli.discovery import find
from corn.errors import ConfigError

FASTAPI = "from fastapi import FastAPI\napp = FastAPI()\n"
SCOPE = "async def app(scope, receive, send):\n    pass\n"
FACTORY = "def create_app(debug=False):\n    return object()\n"
CALLS_FACTORY = "from shop import create_app\napp = create_app()"
CONDITIONAL = "try:\n    import x\nexcept ImportError:\n    x = None\nif x:\n    app = 1\nelse:\n    app = 2"
MADE = "application = make()"
MANAGE = "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'site1.settings')\n"
MANAGE_LOCAL = MANAGE.replace("site1.settings", "site1.settings.local")


def write(directory, **files):
    for name, text in files.items():
        path = directory / (name.replace("__", "/").replace("/init/", "__init__") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.mark.parametrize(
    ("files", "app", "app_dir", "factory"),
    [
        ({"main": FASTAPI}, "main:app", ".", False),
        ({"app": SCOPE}, "app:app", ".", False),
        ({"asgi": "application = get_asgi_application()"}, "asgi:application", ".", False),
        ({"wsgi": "def application(environ, start_response): ..."}, "wsgi:application", ".", False),
        ({"main": FACTORY}, "main:create_app", ".", True),
        ({"main": FACTORY + "app = create_app()\n"}, "main:app", ".", False),
        ({"main": CONDITIONAL}, "main:app", ".", False),
        ({"main": "app: object = make()"}, "main:app", ".", False),
        ({"main": "service = FastAPI()"}, "main:service", ".", False),
        ({"src__main": FASTAPI}, "main:app", "src", False),
        ({"src__shop__main": FASTAPI}, "shop.main:app", "src", False),
        ({"shop__main": FASTAPI}, "shop.main:app", ".", False),
        ({"shop____init__": FACTORY}, "shop:create_app", ".", True),
        ({"shop__app": FASTAPI, "main": "from shop.app import app"}, "shop.app:app", ".", False),
        ({"shop____init__": FACTORY, "wsgi": CALLS_FACTORY}, "wsgi:app", ".", False),
        ({"main": "from elsewhere import app"}, "main:app", ".", False),
        ({"hello": FASTAPI, "notes": "x = 1"}, "hello:app", ".", False),
        ({"main": "app = typer.Typer()", "api": FASTAPI}, "api:app", ".", False),
        ({"main": FASTAPI, "tests__main": FASTAPI, "setup": FASTAPI}, "main:app", ".", False),
        ({"main": "app = (", "asgi": SCOPE}, "asgi:app", ".", False),
        ({"manage": MANAGE, "site1__asgi": MADE, "site1__wsgi": MADE}, "site1.asgi:application", ".", False),
        ({"manage": MANAGE_LOCAL, "site1__wsgi": MADE}, "site1.wsgi:application", ".", False),
        ({"manage": MANAGE, "site1__settings": ""}, "django.core.asgi:get_asgi_application", ".", True),
    ],
)  # fmt: skip
def test_application_is_found(tmp_path, files, app, app_dir, factory):
    write(tmp_path, **files)
    found = find(tmp_path)
    assert (found.app, found.app_dir, found.factory) == (app, app_dir, factory)


def test_project_without_application_finds_none(tmp_path):
    write(tmp_path, notes="x = 1", main="def create_app(settings): ...")
    assert find(tmp_path) is None


def test_several_applications_are_named_in_error(tmp_path):
    write(tmp_path, main=FASTAPI, shop__main=FASTAPI, src__other__asgi=SCOPE)
    with pytest.raises(ConfigError, match=r"main:app, shop\.main:app, other\.asgi:app \(--app-dir src\)"):
        find(tmp_path)


def test_two_applications_of_one_module_are_both_named(tmp_path):
    write(tmp_path, main="public = FastAPI()\nadmin = FastAPI()\n")
    with pytest.raises(ConfigError, match="several applications were found: main:public, main:admin; name one"):
        find(tmp_path)


@pytest.mark.parametrize(
    ("name", "file"), [("main", "main.py"), ("src__shop__app", "src/shop/app.py"), ("hi", "hi.py")]
)
def test_syntax_error_is_named_if_no_application_is_found(tmp_path, name, file):
    write(tmp_path, **{name: "import os\napp = ((\n"})
    with pytest.raises(ConfigError, match=f"no application was found: {file}:2: '\\(' was never closed"):
        find(tmp_path)


def test_unreadable_module_is_named_if_no_application_is_found(tmp_path):
    (tmp_path / "main.py").symlink_to("main.py")
    with pytest.raises(ConfigError, match=r"no application was found: main\.py: Too many levels of symbolic links"):
        find(tmp_path)


def test_fastapi_entrypoint_in_pyproject_takes_precedence(tmp_path):
    write(tmp_path, main=FASTAPI, other=FASTAPI)
    (tmp_path / "pyproject.toml").write_text("[tool.fastapi]\nentrypoint = 'other:app'\n")
    assert find(tmp_path).app == "other:app"


def test_config_check_reports_and_loads_found_application(corn, tmp_path):
    write(tmp_path, src__shop__main=SCOPE)
    done = corn("config", "--check")
    assert done.stderr == "Found shop.main:app in src/shop/main.py.\n"
    assert done.stdout == "The configuration is valid, and shop.main:app loads.\n"


def test_configured_application_skips_discovery(corn, tmp_path):
    write(tmp_path, main=SCOPE, other=SCOPE)
    (tmp_path / "pyproject.toml").write_text("[tool.corn]\napp = 'other:app'\n")
    done = corn("config", "--check")
    assert (done.stderr, done.returncode) == ("", 0)
    assert "other:app loads" in done.stdout


@pytest.mark.parametrize("command", ["serve", "dev"])
def test_several_applications_exit_2_with_one_line(corn, tmp_path, command):
    write(tmp_path, main=SCOPE, app=SCOPE)
    done = corn(command)
    assert done.returncode == 2
    assert done.stderr.startswith("corn: several applications were found: main:app, app:app; name one")
    assert done.stderr.count("\n") == 1


def test_django_project_without_asgi_module_loads(corn, tmp_path):
    write(
        tmp_path,
        manage=MANAGE,
        site1__settings="SECRET_KEY = 'x'\nROOT_URLCONF = 'x'",
    )
    done = corn("config", "--check")
    assert (done.returncode, done.stdout) == (
        0,
        "The configuration is valid, and django.core.asgi:get_asgi_application loads.\n",
    )
