"""The WSGI applications adapted by a2wsgi, as the documentation of uvicorn recommends."""

from a2wsgi import WSGIMiddleware

from benchmarks import wsgi_apps

plain = WSGIMiddleware(wsgi_apps.plain, workers=10)
flask = WSGIMiddleware(wsgi_apps.flask, workers=10)
