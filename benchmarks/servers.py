"""Command lines of the servers: the fastest components of each, and no other changes.

There are three setups: `quiet` without an access log, `logged` with one on standard output, which is redirected to a
file, and `default` with no options but the application, the address and the number of workers. In the first two, idle
connections are kept for a minute, without a limit of their number, so that their memory can be measured. WSGI is served
as in `quiet`, from ten threads.
"""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.cases import DEFAULT, LOGGED, QUIET, Case

ALWAYS, TUNED, WSGI = "always", "tuned", "wsgi"
SECURE = "secure"
HTTP2 = "http2"  # the probe's name too
CERTFILE, KEYFILE = "server.pem", "server.key"  # in the directory in which a server is started


@dataclass(frozen=True)
class Server:
    """Name of a server, the packages whose versions are reported, and its arguments by setup, with placeholders."""

    name: str
    packages: tuple[str, ...]
    arguments: dict[str, str]
    only: str = ""  # the probe for which alone it differs from another server

    def command(self, case: Case, port: int) -> list[str]:
        """Command line for a case."""
        parts = [ALWAYS] if case.setup == DEFAULT else [ALWAYS, TUNED, case.setup]
        if case.secure:
            parts.append(SECURE)
        if case.probe == HTTP2:
            parts.append(HTTP2)
        line = self.arguments[WSGI] if case.is_wsgi else " ".join(self.arguments.get(part, "") for part in parts)
        name = case.app.rpartition(":")[2]
        return line.format(app=case.app, name=name, port=port, workers=case.workers).split()

    def serves(self, case: Case) -> bool:
        if self.only and self.only != case.probe:
            return False
        if case.probe == HTTP2:
            return HTTP2 in self.arguments
        return WSGI in self.arguments if case.is_wsgi else self.name != BARE or case.bare


REFERENCE = "uvicorn"
BARE = "bare"

SERVERS = (
    Server(
        "corn",
        ("corn-server", "uvloop", "httptools", "hpack"),
        {
            ALWAYS: "corn serve {app} --port {port} --workers {workers}",
            TUNED: "--timeout-keep-alive 60",
            QUIET: "--no-access-log",
            LOGGED: "--access-log",
            SECURE: f"--ssl-certfile {CERTFILE} --ssl-keyfile {KEYFILE}",
            HTTP2: "",
            WSGI: "corn serve {app} --port {port} --workers {workers} --timeout-keep-alive 60 --no-access-log",
        },
    ),
    Server(
        REFERENCE,
        ("uvicorn", "uvloop", "httptools", "a2wsgi"),
        {
            ALWAYS: "uvicorn {app} --port {port} --workers {workers}",
            TUNED: "--loop uvloop --http httptools --timeout-keep-alive 60",
            QUIET: "--no-access-log",
            LOGGED: "--access-log",
            SECURE: f"--ssl-certfile {CERTFILE} --ssl-keyfile {KEYFILE}",
            WSGI: "uvicorn benchmarks.a2wsgi_apps:{name} --port {port} --workers {workers} --loop uvloop"
            " --http httptools --timeout-keep-alive 60 --no-access-log",
        },
    ),
    Server(
        "uvicorn-zttp",
        ("uvicorn", "uvloop", "zttp"),
        {
            ALWAYS: "uvicorn {app} --port {port} --workers {workers} --http zttp",
            TUNED: "--loop uvloop --timeout-keep-alive 60",
            QUIET: "--no-access-log",
            LOGGED: "--access-log",
            SECURE: f"--ssl-certfile {CERTFILE} --ssl-keyfile {KEYFILE}",
        },
    ),
    Server(
        "uvicorn-wsproto",
        ("uvicorn", "uvloop", "wsproto"),
        {
            ALWAYS: "uvicorn {app} --port {port} --workers {workers} --ws wsproto",
            TUNED: "--loop uvloop --http httptools --timeout-keep-alive 60",
            QUIET: "--no-access-log",
        },
        only="websocket",
    ),
    Server(
        "granian",
        ("granian", "uvloop"),
        {
            ALWAYS: "granian --interface asgi {app} --port {port} --workers {workers}",
            TUNED: "--loop uvloop --http 1 --http1-header-read-timeout 60000 --backlog 4096",
            QUIET: "--no-access-log",
            LOGGED: "--access-log",
            SECURE: f"--ssl-certificate {CERTFILE} --ssl-keyfile {KEYFILE}",
            HTTP2: "--http auto",
            WSGI: "granian --interface wsgi {app} --port {port} --workers {workers} --blocking-threads 10 --http 1"
            " --http1-header-read-timeout 60000 --backlog 4096 --no-access-log",
        },
    ),
    Server(
        "gunicorn",
        ("gunicorn", "gunicorn-h1c", "uvloop"),
        {
            ALWAYS: "gunicorn -k asgi {app} --bind 127.0.0.1:{port} --workers {workers}",
            TUNED: "--asgi-loop uvloop --http-parser fast --keep-alive 60 --worker-connections 10000",
            LOGGED: "--access-logfile -",
            SECURE: f"--certfile {CERTFILE} --keyfile {KEYFILE}",
            HTTP2: "--http-protocols h2,h1",
            WSGI: "gunicorn -k gthread --threads 10 {app} --bind 127.0.0.1:{port} --workers {workers} --keep-alive 60"
            " --worker-connections 10000",
        },
    ),
    Server(
        "hypercorn",
        ("hypercorn", "h11", "h2", "uvloop"),
        {
            ALWAYS: "hypercorn {app} --bind 127.0.0.1:{port} --workers {workers}",
            TUNED: "--worker-class uvloop --keep-alive 60",
            LOGGED: "--access-logfile -",
            SECURE: f"--certfile {CERTFILE} --keyfile {KEYFILE}",
            HTTP2: "",
        },
    ),
    Server(
        "h2corn",
        ("h2corn",),
        {
            ALWAYS: "h2corn {app} --port {port} --workers {workers}",
            TUNED: "--timeout-keep-alive 60",
            SECURE: f"--certfile {CERTFILE} --keyfile {KEYFILE}",
            HTTP2: "",
        },
    ),
    Server(
        "peregrine",
        ("peregrine-server", "uvloop"),
        {
            ALWAYS: "peregrine {app} --port {port} --workers {workers}",
            TUNED: "--keep-alive 60000",
            SECURE: f"--tls-cert {CERTFILE} --tls-key {KEYFILE}",
            HTTP2: "",
            WSGI: "peregrine --protocol wsgi --wsgi-threads 10 {app} --port {port} --workers {workers}"
            " --keep-alive 60000",
        },
    ),
    Server("fastpysgi", ("fastpysgi",), {ALWAYS: "fastpysgi {app} --host 127.0.0.1 --port {port}"}),
    Server(BARE, ("uvloop", "httptools"), {ALWAYS: "python -m benchmarks.bare_protocol {port}"}),
)

_UNUSUAL = ("uvicorn-zttp", "uvicorn-wsproto", "fastpysgi")
USUAL = tuple(each.name for each in SERVERS if each.name not in _UNUSUAL)
