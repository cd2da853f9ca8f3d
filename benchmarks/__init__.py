"""corn beside its peers, on one machine, in one interleaved run: `make bench`.

    *apps, *_app, bare        what is served
    cases, servers, goals     tables: what is asked, of whom, and what is claimed of corn
    service, wrk, probes      what touches the machine
    summary, tables, chart    pure: figures to medians, medians to text and picture

A figure from another day or another machine proves nothing, so every figure is also given as a ratio to uvicorn's of
the same round. Requests are counted against the CPU time of all the server's processes, not against the clock: what
else runs on the machine then disturbs the figure little, and a server cannot buy speed with a second core.
"""
