from pathlib import Path

from corn.config.reference import main, page
from corn.config.schema import OPTIONS

ROOT = Path(__file__).parent.parent


def test_the_settings_reference_is_current(monkeypatch):
    monkeypatch.chdir(ROOT)
    assert main(["--check"]) == 0, "run: make format"


def test_a_stale_reference_is_told(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["--check"]) == 1
    assert "python -m corn.config.reference" in capsys.readouterr().err
    (tmp_path / "docs/reference").mkdir(parents=True)
    assert main([]) == 0
    assert main(["--check"]) == 0


def test_the_reference_has_a_row_for_every_option():
    rows = [line for line in page().splitlines() if line.startswith("| `")]
    assert len(rows) == len(OPTIONS)
    assert all(row.replace(r"\|", "").count("|") == 8 for row in rows)
