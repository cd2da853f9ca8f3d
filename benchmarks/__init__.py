"""Benchmark of corn and its peers on one machine, in one interleaved run: `make bench`.

    *apps, *_app, bare_protocol  applications and protocols that are served
    cases, servers, goals        tables of the requests, the servers and the performance goals of corn
    service, wrk, probes         processes and measurements
    summary, tables, chart       medians, text and charts; pure

Figures of different days or machines are not comparable, so each figure is also given as a ratio to uvicorn's in the
same round. Requests are counted per CPU-second of all processes of the server, not per second of wall-clock time. So
other work on the machine affects the figure little, and a server does not gain by using a second core.
"""
