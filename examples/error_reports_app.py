"""Sentry: each exception that a request raises is reported.

    pip install sentry-sdk
    SENTRY_DSN=https://... corn serve error_reports_app:app --app-dir examples

`/fail` raises one. Initialising at import is enough: the SDK starts its thread with the first report, in the worker.
"""

import sentry_sdk
from hello import app as hello
from sentry_sdk.integrations.asgi import SentryAsgiMiddleware

sentry_sdk.init(ignore_errors=[NotImplementedError])  # with which hello says that it has no lifespan


async def fail_or_greet(scope, receive, send):
    if scope["type"] == "http" and scope["path"] == "/fail":
        raise ValueError("asked to fail")
    await hello(scope, receive, send)


app = SentryAsgiMiddleware(fail_or_greet)
