"""Applications with libraries that do more at import than define names, through crash, reload, stop and save.

Each answers at / with JSON: `version`, and `seen`, which is the same as where the program runs by itself. The libraries
are large: `make programs` installs them and runs these tests.
"""

from __future__ import annotations

import importlib.util
import json
import signal

import pytest

from tests.support.corn_process import Served
from tests.support.dev_project import Developed, save

FASTAPI = """
import asyncio, os, threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from fastapi import BackgroundTasks, FastAPI
POOL, LOCK = ThreadPoolExecutor(4), threading.Lock()

@asynccontextmanager
async def lifespan(app):
    app.state.started = os.getpid()
    yield
    with open("ended.txt", "a") as file:
        file.write(f"{os.getpid()}\\n")

app = FastAPI(lifespan=lifespan)

def note():
    with open("noted.txt", "a") as file:
        file.write(f"{os.getpid()}\\n")

@app.get("/")
async def root(tasks: BackgroundTasks):
    tasks.add_task(note)
    pid = await asyncio.get_running_loop().run_in_executor(POOL, os.getpid)
    with LOCK:
        return {"version": VERSION, "seen": pid == os.getpid() == app.state.started}
"""
SQLALCHEMY = """
from contextlib import asynccontextmanager
from fastapi import FastAPI
from sqlalchemy import Column, Integer, func, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import declarative_base
engine = create_async_engine("sqlite+aiosqlite:///data.db", connect_args={"timeout": 30})
Session, Base = async_sessionmaker(engine), declarative_base()

class Visit(Base):
    __tablename__ = "visit"
    id = Column(Integer, primary_key=True)

@asynccontextmanager
async def lifespan(app):
    from sqlalchemy.schema import CreateTable
    async with engine.begin() as connection:
        await connection.execute(CreateTable(Visit.__table__, if_not_exists=True))
    yield
    await engine.dispose()

app = FastAPI(lifespan=lifespan)

@app.get("/")
async def root():
    async with Session() as session:
        session.add(Visit())
        await session.commit()
        return {"version": VERSION, "seen": (await session.scalar(select(func.count(Visit.id)))) > 0}
"""
CELERY = """
from celery import Celery
from fastapi import FastAPI
celery = Celery("main", broker="memory://", backend="cache+memory://")
celery.conf.task_always_eager = True

@celery.task
def add(a, b):
    return a + b

app = FastAPI()

@app.get("/")
def root():
    return {"version": VERSION, "seen": add.delay(2, 3).get(timeout=10) == 5}
"""
ALEMBIC = """
import logging
from pathlib import Path
from alembic import command
from alembic.config import Config
from fastapi import FastAPI
own = logging.getLogger("own")

if not Path("migrations").exists():
    try:
        command.init(Config("alembic.ini"), "migrations")
        text = Path("alembic.ini").read_text()
        Path("alembic.ini").write_text(text.replace("driver://user:pass@localhost/dbname", "sqlite:///base.db"))
    except FileExistsError:
        pass
command.upgrade(Config("alembic.ini"), "head")
app = FastAPI()

@app.get("/")
def root():
    return {"version": VERSION, "seen": True}

@app.get("/fail")
def fail():
    raise ValueError("too bad")
"""
MATPLOTLIB = """
import io, os
import matplotlib
matplotlib.use("agg")
from matplotlib import pyplot
from fastapi import FastAPI
app = FastAPI()

@app.get("/")
def root():
    figure = pyplot.figure()
    figure.gca().plot([1, 2, 3])
    file = io.BytesIO()
    figure.savefig(file, format="png")
    pyplot.close(figure)
    directory = os.environ["MPLCONFIGDIR"]
    return {"version": VERSION, "seen": file.getvalue()[:4] == b"\\x89PNG" and os.path.isdir(directory)}
"""
PROMETHEUS = """
from fastapi import FastAPI
from prometheus_client import CollectorRegistry, Counter, generate_latest, multiprocess
VISITS = Counter("visits", "Requests.")
app = FastAPI()

@app.get("/")
def root():
    VISITS.inc()
    return {"version": VERSION, "seen": True}

@app.get("/metrics")
def metrics():
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)
    lines = generate_latest(registry).decode().splitlines()
    return [float(line.split()[1]) for line in lines if line.startswith("visits_total ")]
"""
NUMPY = """
import numpy
from fastapi import FastAPI
GENERATOR, FIXED = numpy.random.default_rng(), numpy.random.default_rng(7)
FIRST = float(FIXED.random())
DRAWN = "drawn.txt"
app = FastAPI()

@app.get("/")
def root():
    with open(DRAWN, "a") as file:
        file.write(f"{GENERATOR.random()!r}\\n")
    return {"version": VERSION, "seen": FIRST == 0.625095466604667}
"""
SETTINGS = """
from fastapi import FastAPI
from pydantic_settings import BaseSettings, SettingsConfigDict

class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_file=".env", env_prefix="SHOP_")
    name: str
    url: str = "unset"

settings = Settings()
app = FastAPI()

@app.get("/")
def root():
    return {"version": VERSION, "seen": [settings.name, settings.url] == ["of the file", "of the environment"]}
"""
GRADIO = """
import gradio
from fastapi import FastAPI

with gradio.Blocks() as blocks:
    name, answer = gradio.Textbox(), gradio.Textbox()
    gradio.Button().click(lambda text: f"hello {text}", name, answer, api_name="greet")

api = FastAPI()

@api.get("/")
def root():
    return {"version": VERSION, "seen": True}

app = gradio.mount_gradio_app(api, blocks, path="/ui")
"""

# The source, and the modules that it needs.
PROGRAMS = {
    "fastapi": (FASTAPI, "fastapi"),
    "sqlalchemy": (SQLALCHEMY, "sqlalchemy", "aiosqlite"),
    "celery": (CELERY, "celery"),
    "alembic": (ALEMBIC, "alembic"),
    "matplotlib": (MATPLOTLIB, "matplotlib"),
    "prometheus": (PROMETHEUS, "prometheus_client"),
    "numpy": (NUMPY, "numpy"),
    "pydantic-settings": (SETTINGS, "pydantic_settings"),
    "gradio": (GRADIO, "gradio"),
}
pytestmark = pytest.mark.programs
ENVIRONMENT = {"HOME": "/proc/nowhere", "SHOP_URL": "of the environment", "GRADIO_ANALYTICS_ENABLED": "False"}


@pytest.fixture(params=sorted(PROGRAMS))
def program(request, tmp_path):
    """The name of a program, whose directory is the test's."""
    _, *needed = PROGRAMS[request.param]
    for each in needed:
        if importlib.util.find_spec(each) is None:
            pytest.skip(f"needs {each}: make programs")
    (tmp_path / ".env").write_text('SHOP_NAME="of the file"\nSHOP_URL="of the file, too"\n')
    (tmp_path / "counts").mkdir()
    write(tmp_path, request.param, "one")
    return request.param


def write(directory, name, version):
    save(directory / "main.py", f"VERSION = {version!r}\n{PROGRAMS[name][0]}")


def environment(directory):
    (directory / "tmp").mkdir()
    return ENVIRONMENT | {"TMPDIR": str(directory / "tmp"), "PROMETHEUS_MULTIPROC_DIR": str(directory / "counts")}


def check(served, version, count=8):
    for _ in range(count):
        answer = json.loads(served.client().get())
        assert answer == {"version": version, "seen": True}
    return count


def test_library_answers_alike_through_crash_reload_and_stop(tmp_path, program):
    arguments = ("main:app", "--port", "0", "--workers", "2", "--soak", "0")
    with Served(tmp_path, *arguments, **environment(tmp_path)).wait_ready() as served:
        count = check(served, "one")
        if program == "fastapi":
            served.wait_until(lambda: noted(tmp_path) == count, "the background tasks end")
        victim = served.workers()[0]
        victim.kill()
        served.wait_until(lambda: not victim.is_running() and len(served.workers()) == 2, "another worker")
        count += check(served, "one")
        write(tmp_path, program, "two")
        served.signal(signal.SIGHUP)
        served.wait_for("reloaded: generation 2 serves")
        count += check(served, "two")
        more = globals().get(f"check_{program}")
        if more is not None:
            more(served, count)
        served.signal(signal.SIGTERM)
        assert served.wait_exit() == 0
        assert program == "alembic" or "Traceback" not in served.output
        assert served.output.count("crashed") == 1
    left = [each.name for each in (tmp_path / "tmp").iterdir()]
    assert left == (["gradio"] if program == "gradio" else [])  # its cache
    if program == "numpy":
        drawn = (tmp_path / "drawn.txt").read_text().split()
        assert len(drawn) == len(set(drawn)) == count
    if program == "fastapi":
        assert noted(tmp_path) == count


def noted(directory):
    """The number of background tasks that have ended."""
    return len((directory / "noted.txt").read_text().split())


def check_prometheus(served, count):
    assert json.loads(served.client().get("/metrics")) == [count]


def check_alembic(served, count):
    assert served.client().request("/fail")[0] == 500
    served.wait_for("ValueError: too bad")


def check_gradio(served, count):
    assert "gradio" in served.client().get("/ui/")


def test_library_serves_saved_code_in_development(tmp_path, program):
    with Developed(tmp_path, **environment(tmp_path)).wait_ready() as served:
        check(served, "one", 2)
        for version in ("two", "three"):
            mark = served.mark()
            write(tmp_path, program, version)
            served.wait_for("reloaded in", since=mark)
            check(served, version, 2)
        served.signal(signal.SIGINT)
        assert served.wait_exit() == 0
        assert "Traceback" not in served.output
