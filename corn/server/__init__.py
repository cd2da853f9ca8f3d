"""ASGI server: everything that runs on a worker's event loop."""
