"""Comparison with native servers in prose: the cases in which they are ahead of corn, and their leads. Pure."""

from __future__ import annotations

from benchmarks.cases import CASES, PER_CPU
from benchmarks.summary import Results

NATIVE = {"granian": "Rust", "h2corn": "Rust", "peregrine": "Swift", "fastpysgi": "C"}
_OURS = "corn"
_APPLICATION = ("fastapi", "fastapi-browser", "proxied")  # cases in which most of the time is the application's


def ahead(results: Results) -> str:
    """A list item for each native server of the run, and one for the largest lead on FastAPI."""
    servers = [server for server in results.servers() if server in NATIVE]
    items = [item for server in servers if (item := _item(results, server))]
    return "\n".join([*items, *_on_fastapi(results, servers)]) or "- No native server was in this run."


def _item(results: Results, server: str) -> str:
    ratios = _ratios(results, server)
    leads = sorted(((ratio, title) for title, ratio in ratios.items() if ratio > 1), reverse=True)
    if not ratios:
        return ""
    name = f"- **{server}** ({NATIVE[server]})"
    if not leads:
        return f"{name} is behind corn in each of {len(ratios)} cases."
    listed = "; ".join(f"{title} ({ratio:.2f}x)" for ratio, title in leads)
    return f"{name} is ahead of corn in {len(leads)} of {len(ratios)} cases: {listed}."


def _ratios(results: Results, server: str) -> dict[str, float]:
    """The server's requests per CPU-second to corn's, by the titles of the cases."""
    cases = [case for case in CASES if case.headline == PER_CPU]
    known = {case.title: results.ratio(case.name, server, PER_CPU, _OURS) for case in cases}
    return {title: ratio for title, ratio in known.items() if ratio is not None}


def _on_fastapi(results: Results, servers: list[str]) -> list[str]:
    leads = [
        (ratio, server, case.title)
        for case in CASES
        if case.name in _APPLICATION
        for server in servers
        if (ratio := results.ratio(case.name, server, PER_CPU, _OURS)) is not None
    ]
    if not leads:
        return []
    ratio, server, title = max(leads)
    lead = f"the fastest native server serves {ratio:.2f} times as many requests as corn ({server}, {title})"
    return [f"- On FastAPI, where the application takes most of the time, {lead}."]
