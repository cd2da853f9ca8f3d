import runpy
from pathlib import Path

from corn.config.reference import main, page
from corn.config.schema import OPTIONS
from corn.errors import ExitCode

ROOT = Path(__file__).parent.parent


def test_settings_reference_is_current(monkeypatch):
    monkeypatch.chdir(ROOT)
    assert main(["--check"]) == 0, "run: make format"


def test_stale_settings_reference_is_reported(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["--check"]) == 1
    assert "python -m corn.config.reference" in capsys.readouterr().err
    (tmp_path / "docs/reference").mkdir(parents=True)
    assert main([]) == 0
    assert main(["--check"]) == 0


def test_settings_reference_has_heading_for_each_option():
    headings = [line for line in page().splitlines() if line.startswith("### ")]
    assert headings == [f"### `{option.flag}`" for option in OPTIONS]


def test_manual_page_explains_each_exit_code():
    text = runpy.run_path(str(ROOT / "docs/man_page.py"))["page"]()
    assert all(f".B {int(code)}\n" in text for code in ExitCode)
