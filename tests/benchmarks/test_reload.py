from benchmarks.projects import write
from benchmarks.reload import Edits, rows
from benchmarks.reload_page import chart, goals

RESULTS = [
    Edits("corn", "tiny", [40.0, 50.0, 60.0], 100),
    Edits("uvicorn", "tiny", [500.0], 100, 1),
    Edits("corn", "heavy", [100.0], 100),
    Edits("uvicorn", "heavy", [2000.0], 100, 2, 1),
]


def test_reload_table_compares_with_fastest_peer():
    assert list(rows(RESULTS))[2:] == [
        "| tiny | corn | 50 | 40 | 60 | 0.10 | 0 of 100 |",
        "| tiny | uvicorn | 500 | 500 | 500 | 1.00 | 1 of 100 |",
        "| heavy | corn | 100 | 100 | 100 | 0.05 | 0 of 100 |",
        "| heavy | uvicorn | 2000 | 2000 | 2000 | 1.00 | 2 of 100, 1 edits never served |",
    ]


def test_reload_goals_are_judged():
    assert goals(RESULTS).count("| met |") == 4
    slow = [*RESULTS[:2], Edits("corn", "heavy", [300.0], 1, 1), RESULTS[3]]
    assert goals(slow).count("not met") == 3


def test_reload_chart_has_bar_for_each_result():
    assert chart(RESULTS, "<today>").count("<rect") == 4


def test_reload_projects_compile(tmp_path):
    for kind in ("tiny", "heavy"):
        write(kind, tmp_path, 3)
        for file in tmp_path.iterdir():
            compile(file.read_text(), file.name, "exec")
