"""Medians, ratios, goals, tables and the chart of benchmark runs."""

import json
import os
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from benchmarks import wrk
from benchmarks.__main__ import half_of_the_slowest
from benchmarks.cases import CASES, P50, P99, P999, PER_CPU, RATE, STRANGERS
from benchmarks.chart import chart
from benchmarks.contention import busy_seconds
from benchmarks.goals import BEST, GOALS, Goal, regressions
from benchmarks.native import ahead
from benchmarks.options import parse
from benchmarks.publish import load, page, strangers, with_table
from benchmarks.servers import SERVERS
from benchmarks.summary import Results, Run
from benchmarks.tables import (
    aligned,
    everything,
    fault_rows,
    fixed_rate_rows,
    goal_rows,
    headline_rows,
    markdown,
    spread_rows,
    summary_rows,
)


def run(server, number, per_cpu, *faults, case="plain", p99=1.0):
    return Run(case, server, number, {PER_CPU: per_cpu, P99: p99}, faults)


@pytest.fixture
def results():
    """Round 2 was disturbed as a whole, and corn failed in round 4."""
    corn = [run("corn", 1, 150.0), run("corn", 2, 80.0), run("corn", 3, 140.0), run("corn", 4, 999.0, "3 read errors")]
    uvicorn = [run("uvicorn", 1, 100.0), run("uvicorn", 2, 50.0), run("uvicorn", 3, 100.0), run("uvicorn", 4, 100.0)]
    return Results([*corn, *uvicorn, Run("plain", "granian", 1, {}, ("no answer | at all",))])


def test_median_ignores_faulty_rounds(results):
    assert results.value("plain", "corn", PER_CPU) == 140.0
    assert results.value("plain", "granian", PER_CPU) is None
    assert (results.faulty("plain", "corn"), results.ran("plain", "corn")) == (1, 4)


def test_ratio_is_median_of_ratios_within_rounds(results):
    assert results.ratio("plain", "corn", PER_CPU, "uvicorn") == 1.5
    assert results.spread("plain", "corn", PER_CPU, "uvicorn") == (1.4, 1.6)
    assert results.ratio("plain", "granian", PER_CPU, "uvicorn") is None
    assert results.spread("plain", "granian", PER_CPU, "uvicorn") is None


def test_runs_round_trip_through_json(results):
    assert [Run.from_json(json.loads(json.dumps(each.to_json()))) for each in results.runs] == results.runs


def test_faults_are_marked_and_listed(results):
    cells = headline_rows(results)[1]
    assert cells == ["plain, repeated", "requests per CPU-second", "140 (1.50x) !1", "100 (1.00x)", "failed (1 of 1)"]
    assert [row[:3] for row in fault_rows(results)[1:]] == [["plain", "corn", "4"], ["plain", "granian", "1"]]


def test_tables_are_aligned(results):
    lines = aligned([["a", "bb"], ["ccc", "d"]]).splitlines()
    assert lines == ["a    bb", "-------", "ccc  d"]
    assert "| no answer \\| at all |" in markdown(fault_rows(results))
    assert spread_rows(results)[1] == ["plain, repeated", "1.40 to 1.60", "-"]
    assert "NOT MET" not in everything(Results([run("corn", 1, 9.0), run("uvicorn", 1, 1.0)]))


def test_goals_without_data_are_omitted(results):
    rows = goal_rows(results)[1:]
    assert [(row[0], row[3], row[4]) for row in rows] == [
        ("NOT MET", ">= 1.7 x uvicorn", "1.50"),
        ("met", "<= 1.05 x the best peer", "1.00"),
    ]


def test_best_peer_excludes_corn_and_bare_protocol():
    figures = {"corn": 2.0, "uvicorn": 4.0, "granian": 3.0, "bare": 1.0}
    results = Results([run(server, 1, 1.0, p99=p99) for server, p99 in figures.items()])
    assert Goal(case="plain", measure=P99, against=BEST, at_most=1).reached(results) == pytest.approx(2 / 3)
    above = Goal(case="plain", measure=P99, at_most=1, difference=True)
    assert above.reached(results) == -2.0
    assert above.limit() == "<= 1 above uvicorn"


@pytest.mark.parametrize(("ours", "denied"), [(71.0, 0), (69.0, 1)])
def test_regression_is_measured_against_bare_protocol(ours, denied):
    assert len(regressions(Results([run("corn", 1, ours), run("bare", 1, 100.0)]))) == denied


def test_goals_and_servers_match_cases():
    assert {goal.case for goal in GOALS} <= {case.name for case in CASES}
    for case in CASES:
        assert all(server.command(case, 1) for server in SERVERS if server.serves(case))


def test_chart_is_well_formed_and_shows_ratios(results):
    drawing = ET.fromstring(chart(results, "today, <here> & now"))
    texts = [each.text for each in drawing.iter("{http://www.w3.org/2000/svg}text")]
    assert {"today, <here> & now", "plain, repeated", "corn", "granian", "1.50", "failed"} <= set(texts)
    bars = [each for each in drawing.iter("{http://www.w3.org/2000/svg}rect") if len(each)]
    assert len(bars) == 1
    assert float(bars[0].get("width")) > 0


def test_results_page_is_written_from_file(results, tmp_path):
    known = ("date", "rounds", "seconds", "processor", "cores", "kernel", "python", "wrk", "commit", "load_before")
    about = dict.fromkeys(known, "?")
    file = tmp_path / "results.json"
    runs = [each.to_json() for each in results.runs]
    file.write_text(json.dumps({"about": about | {"versions": {"corn-server": "1"}}, "runs": runs}))
    text = page(*load(file), "results.json")
    assert "corn-server 1" in text
    assert "It meets 1 of 2." in text
    assert "corn compared with uvicorn and granian, measured on ?" in text
    assert "`bare` is a protocol" not in text


def test_readme_table_is_replaced_between_comments(results):
    about = dict.fromkeys(("date", "python", "processor"), "?")
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    once = with_table(readme, about, results)
    assert "| plain, repeated | 140 (1.50x) !1 | 100 (1.00x) | failed (1 of 1) |" in once
    assert with_table(once, about, results) == once
    begin, end = "<!-- table", "<!-- end of table"
    assert (once.partition(begin)[0], once.partition(end)[2]) == (readme.partition(begin)[0], readme.partition(end)[2])
    with pytest.raises(ValueError, match="README"):
        with_table("no comments", about, results)


def test_readme_table_begins_with_varying_case():
    runs = [run(server, 1, 1.0, case=case) for case in ("plain", "browser") for server in ("corn", "uvicorn")]
    assert [row[0] for row in summary_rows(Results(runs))[1:]] == ["browser behind a proxy, varying", "plain, repeated"]


def test_native_servers_are_described_by_figures():
    figures = {("plain", "corn"): 100.0, ("plain", "granian"): 90.0, ("plain", "peregrine"): 150.0}
    figures |= {("fastapi", "corn"): 10.0, ("fastapi", "granian"): 5.0, ("fastapi", "peregrine"): 12.0}
    said = ahead(Results([run(server, 1, figure, case=case) for (case, server), figure in figures.items()]))
    assert "**granian** (Rust) is behind corn in each of 2 cases." in said
    assert "**peregrine** (Swift) is ahead of corn in 2 of 2 cases: plain, repeated (1.50x); FastAPI" in said
    assert "1.20 times as many requests as corn (peregrine, FastAPI, path and query, repeated)" in said
    assert ahead(Results([run("corn", 1, 1.0)])) == "- No native server was in this run."


def test_fixed_rate_table_lists_percentiles():
    runs = [Run("fixed-rate", "corn", 1, {P50: 1.0, P99: 2.0, P999: 3.0})]
    assert [row[1] for row in fixed_rate_rows(Results(runs))[1:]] == ["1.00", "2.00", "3.00"]


def test_other_processes_are_remainder_of_busy_time():
    stat = (
        "cpu  9 9 9 9 9 9 9 9 0 0\ncpu0 100 1 20 999 50 3 4 5 0 0\n"
        "cpu1 200 0 0 7 0 0 0 0 0 0\ncpu10 9 0 0 0 0 0 0 0 0 0\nintr 5\n"
    )
    tick = os.sysconf("SC_CLK_TCK")
    assert busy_seconds(stat, [0]) * tick == pytest.approx(133)
    assert busy_seconds(stat, [0, 1]) * tick == pytest.approx(333)


def test_results_page_shows_load_of_other_processes():
    runs = [Run("plain", "corn", number, {STRANGERS: figure}) for number, figure in enumerate((0.01, 0.02, 0.5))]
    assert "took 0.02 CPU-seconds" in strangers(Results(runs))
    assert "more than 0.1 in 1 of 3" in strangers(Results(runs))
    assert "not recorded" in strangers(Results())


def test_options_select_cases_and_rounds(capsys):
    options = parse(["--cases", "echo,plain", "--servers", "corn", "--rounds", "3"])
    assert [case.name for case in options.cases] == ["echo", "plain"]
    assert (options.rounds, options.seconds, options.check) == (3, 2, False)
    for wrong in (["--cases", "plian"], ["--rounds", "0"]):
        with pytest.raises(SystemExit):
            parse(wrong)
    assert "no such case or server: plian" in capsys.readouterr().err


def test_fixed_rate_is_half_of_slowest_server():
    runs = [Run("fastapi", server, 1, {RATE: rate}) for server, rate in (("corn", 9000.0), ("uvicorn", 5000.0))]
    assert half_of_the_slowest(Results(runs)) == 2500
    assert half_of_the_slowest(Results([])) > 0


def test_quick_option_reduces_rounds():
    assert parse(["--quick"]).rounds < parse([]).rounds
    options = parse(["--quick", "--cases", "browser"])
    assert [case.name for case in options.cases] == ["browser"]
    assert options.cases[0].varying


def test_varying_request_has_sixteen_fields():
    lua = wrk.VARYING
    assert lua.count('["') == 16
    assert "count" in lua
