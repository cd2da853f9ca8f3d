"""The WSGI applications by way of a2wsgi, as uvicorn's documentation advises."""

from a2wsgi import WSGIMiddleware

from benchmarks import wsgi_apps

plain = WSGIMiddleware(wsgi_apps.plain, workers=10)
flask = WSGIMiddleware(wsgi_apps.flask, workers=10)
