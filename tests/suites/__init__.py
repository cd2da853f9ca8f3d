"""Foreign request suites against a live corn: `make suites DIR=...`, with checkouts of gunicorn and llhttp in DIR.

Nothing of theirs is part of this repository. files.py reads their formats, __main__.py sends each request to a server,
and report.py writes docs/explanation/suites.md.
"""
