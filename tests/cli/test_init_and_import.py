"""`corn init` and `corn import`: the written files are valid."""

import json
import shutil
import subprocess
import sys

import pytest
import yaml

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

APP = "async def app(scope, receive, send): ...\n"
GUNICORN = """
import multiprocessing
bind = ["127.0.0.1:8001"]
wsgi_app = "main:app"
workers = 1 + 2
max_requests = 1000
keepalive = 3
umask = 0o27
preload_app = True
worker_class = "gevent"
timeout = 40
syslog_addr = "udp://loghost:514"

def post_fork(server, worker):
    print("forked")

def pre_request(worker, request): ...

def ssl_context(conf, default_ssl_context_factory):
    return default_ssl_context_factory()
"""


@pytest.fixture
def project(tmp_path):
    (tmp_path / "main.py").write_text(APP)
    return tmp_path


def values(path):
    return tomllib.loads(path.read_text())


def test_init_writes_valid_config(corn, project):
    done = corn("init")
    assert (done.returncode, done.stdout) == (0, "wrote corn.toml\n"), done.stderr
    assert values(project / "corn.toml") == {"app": "main:app", "workers": "auto"}
    assert corn("config", "--check").stdout == "The configuration is valid, and main:app loads.\n"
    done = corn("init")
    assert (done.returncode, done.stderr.splitlines()[-1]) == (
        2,
        "corn: corn.toml exists; use --force to overwrite it",
    )
    assert corn("init", "main:app", "--force").returncode == 0


def test_init_commented_options_are_valid(corn, project):
    corn("init")
    lines = (project / "corn.toml").read_text().splitlines()
    given = [line.removeprefix("# ") for line in lines if " = " in line and line.count("`") == 0 and "bind" not in line]
    given = [line for line in given if not line.startswith("admin")]
    (project / "corn.toml").write_text("\n".join(dict.fromkeys(given)))
    done = corn("config", "--check")
    assert done.returncode == 0, done.stderr


def test_init_writes_deployment_files(corn, project):
    done = corn("init", "--systemd", "--compose", "--kubernetes")
    name = project.name.lower().replace("_", "-")
    assert done.returncode == 0, done.stderr
    written = {line.removeprefix("wrote ") for line in done.stdout.splitlines()}
    assert len(written) == 6
    assert {"corn.toml", "Dockerfile", ".dockerignore", "compose.yaml", "kubernetes.yaml"} < written
    (unit,) = (each for each in written if each.endswith(".service"))
    assert f"WorkingDirectory={project}" in (project / unit).read_text()
    assert all("@" not in (project / each).read_text().replace("Europe", "") for each in written), name
    if verify := shutil.which("systemd-analyze"):
        command = [verify, "verify", "--man=no", project / unit]
        said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stderr
        assert "Unknown" not in said


def seconds_of_stop(environment, corn):
    """Longest time that a stop takes with these variables, by docs/how-to/deploy-containers.md."""
    options = json.loads(corn("config", "--json", **environment).stdout)["options"]
    names = ("drain_delay", "timeout_graceful_shutdown", "timeout_lifespan_shutdown")
    return sum(options[name]["value"] for name in names) + 2


def test_compose_file_of_init_gives_corn_time_to_stop(corn, project):
    corn("init", "--compose")
    web = yaml.safe_load((project / "compose.yaml").read_text())["services"]["web"]
    assert (web["build"], web["ports"]) == (".", ["8000:8000"])
    assert seconds_of_stop(web["environment"], corn) < int(web["stop_grace_period"].removesuffix("s"))


def test_manifest_of_init_fits_together_and_gives_corn_time_to_stop(corn, project):
    corn("init", "--kubernetes")
    deployment, service = yaml.safe_load_all((project / "kubernetes.yaml").read_text())
    pod = deployment["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    assert deployment["spec"]["selector"]["matchLabels"] == pod["metadata"]["labels"] == service["spec"]["selector"]
    environment = {each["name"]: each["value"] for each in container["env"]}
    assert seconds_of_stop(environment, corn) < pod["spec"]["terminationGracePeriodSeconds"]
    (port,) = container["ports"]
    assert environment["CORN_BIND"] == f"0.0.0.0:{port['containerPort']}"
    probes = [container[name]["tcpSocket"]["port"] for name in ("startupProbe", "readinessProbe", "livenessProbe")]
    assert {*probes, service["spec"]["ports"][0]["targetPort"]} == {port["name"]}


def test_import_translates_gunicorn_config(corn, project):
    (project / "gunicorn.conf.py").write_text(GUNICORN)
    done = corn("import", "gunicorn.conf.py")
    assert done.returncode == 0, done.stderr
    assert values(project / "corn.toml") == {
        "app": "main:app",
        "bind": ["127.0.0.1:8001"],
        "workers": 3,
        "limit_max_requests": 1000,
        "timeout_keep_alive": 3.0,
        "umask": "027",
        "preload": "app",
        "timeout_worker": 40.0,
        "hooks": "hooks.py",
    }
    assert "not taken over: worker_class = 'gevent': corn has no counterpart" in done.stderr
    assert "not taken over: syslog_addr = 'udp://loghost:514': use --log-file syslog://HOST:PORT" in done.stderr
    assert "not taken over: pre_request: corn has no such hook" in done.stderr
    assert "# worker_class = 'gevent'" in (project / "corn.toml").read_text()
    assert "def ssl_context(config, default):" in (project / "hooks.py").read_text()
    assert 'print("forked")' in (project / "hooks.py").read_text()
    done = corn("config", "--check")
    assert done.returncode == 0, done.stderr


def test_import_translates_command_line(corn, project):
    text = "uvicorn --factory main:app --host 0.0.0.0 --port=81 --workers 4 --header A:b --header C:d --no-access-log"
    done = corn("import", "--from-uvicorn", f"{text} --reload-delay 2", "--output", "-")
    assert done.returncode == 0, done.stderr
    assert tomllib.loads(done.stdout) == {
        "app": "main:app",
        "factory": True,
        "host": "0.0.0.0",
        "port": 81,
        "workers": 4,
        "header": ["A: b", "C: d"],
        "access_log": False,
    }
    assert (
        done.stderr
        == "not taken over: reload_delay = '2': corn has no counterpart: the operating system reports changes\n"
    )


HYPERCORN = """
bind = "127.0.0.1:8001"
keep_alive_timeout = 3
accesslog = "-"
access_log_format = "%(h)s %(s)s"
loglevel = "warning"
pid_path = "corn.pid"
include_server_header = false
use_reloader = true
"""


def test_import_translates_hypercorn_config(corn, project):
    (project / "hypercorn.toml").write_text(HYPERCORN)
    done = corn("import", "hypercorn.toml")
    assert (done.returncode, done.stderr) == (0, "not taken over: use_reloader = True: use corn dev\n")
    assert values(project / "corn.toml") == {
        "bind": ["127.0.0.1:8001"],
        "timeout_keep_alive": 3.0,
        "access_log_file": "-",
        "access_log_format": "%(h)s %(s)s",
        "log_level": "warning",
        "pid": "corn.pid",
        "server_header": False,
    }


@pytest.mark.parametrize(
    ("peer", "options", "taken", "named"),
    [
        ("gunicorn", "--env A=b", {}, "raw_env = 'A=b': use env_file"),
        ("gunicorn", "--initgroups --user www", {"user": "www"}, "initgroups = True: corn has no counterpart"),
        ("gunicorn", "--no-control-socket", {}, "control_socket_disable = False: use --control off"),
        ("granian", "--workers-max-rss 512 --metrics-port 9", {}, "workers_max_rss = '512': use limit_memory (in PSS"),
        (
            "gunicorn",
            "--limit-request-line 4096 --limit-request-field_size 8192",
            {"limit_header_size": 4096},
            "limit_request_field_size = '8192': use limit_header_size",
        ),
    ],
)
def test_import_takes_no_value_over_that_means_another(corn, project, peer, options, taken, named):
    done = corn("import", f"--from-{peer}", f"{options} main:app")
    assert values(project / "corn.toml") == {"app": "main:app"} | taken
    assert f"not taken over: {named}" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ([], "name one source: a file, or a command line as in --from-uvicorn 'main:app --workers 4'"),
        (["no.py"], "there is no file 'no.py'"),
        (["broken.py"], "broken.py could not be executed: ZeroDivisionError: division by zero"),
        (["--from-uvicorn", "'"], "--from-uvicorn: No closing quotation"),
    ],
    ids=str,
)
def test_import_failure_is_one_line_and_exits_2(corn, tmp_path, arguments, line):
    (tmp_path / "broken.py").write_text("1 / 0")
    done = corn("import", *arguments)
    assert (done.returncode, done.stderr) == (2, f"corn: {line}\n")
