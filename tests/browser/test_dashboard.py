"""Dashboard of the admin endpoint in a real browser."""

from __future__ import annotations

import os
import re
import signal

import pytest

from tests.support.admin_client import Monitored
from tests.support.http_client import Load

# The names of everything that a screen reader reads as an image or a region.
NAMES = "[...document.querySelectorAll('[role=img],[role=region]')].map((each) => each.getAttribute('aria-label'))"
CELLS = "[...document.querySelectorAll('#workers tr')].map((row) => [...row.cells].map((cell) => cell.textContent))"


def test_dashboard_follows_crash_reload_and_stop(tmp_path, chromium):
    (tmp_path / "go").touch()
    with Monitored(tmp_path, "-w", "2").wait_ready() as served:
        chromium.go(f"{served.admin._address}/")
        chromium.wait_for_text("2 of 2 workers, generation 1")
        with Load(served.address, clients=2):
            chromium.wait_for("document.querySelectorAll('figure svg path').length >= 7")
            chromium.wait_for(f"{CELLS}.some((cells) => parseFloat(cells[5]) > 0)")
            names = chromium.run(f"return {NAMES}")
            assert "Workers" in names
            (of_rate,) = [each for each in names if each.startswith("Requests/s in the last ")]
            assert re.search(r"all [\d.,]+, between [\d.,]+ and [\d.,]+; 5xx 0, between 0 and 0", of_rate), of_rate
            assert "now" in chromium.run("return document.querySelector('.axis').innerText")
            killed = served.workers()[0]
            # The time from the kill until the page shows it, by the browser's clock.
            chromium.run(f"""
                window.shown = null; window.began = performance.now();
                const looking = setInterval(() => {{
                    const cells = {CELLS};
                    const isNew = (each) => each[1] === 'ready' && each[3] !== '{killed.pid}';
                    if (cells.length === 2 && cells.every(isNew)) {{
                        window.shown = performance.now() - window.began; clearInterval(looking);
                    }}
                }}, 20);""")
            killed.kill()
            chromium.wait_for_text("was restarted once")
            assert "killed by SIGKILL" in chromium.text()
            chromium.wait_for("window.shown !== null")
            print("a killed worker was shown as restarted after", chromium.run("return window.shown"), "ms")
        served.signal(signal.SIGHUP)
        chromium.wait_for_text("2 of 2 workers, generation 2")
        before = served.mark()
        served.admin_process().kill()
        served.wait_for("restarting it in", since=before)
        chromium.wait_for("document.getElementById('notice').hidden")
        served.signal(signal.SIGTERM)
        assert served.wait_exit() == 0
        chromium.wait_for_text("No figures at the moment")
        assert chromium.run(
            "return performance.getEntriesByType('resource').every((each) => "
            "each.name.startsWith(location.origin) || each.name.startsWith('data:'))"
        )


def test_dashboard_refused_reload_is_shown_until_acknowledged(tmp_path, chromium):
    (tmp_path / "go").touch()
    with Monitored(tmp_path, "-w", "1").wait_ready() as served:
        good = (tmp_path / "main.py").read_text()
        chromium.go(f"{served.admin._address}/")
        chromium.wait_for_text("generation 1")
        (tmp_path / "main.py").write_text("import no_such_module_of_this_name")
        served.signal(signal.SIGHUP)
        chromium.wait_for_text("Reload refused: generation 2")
        assert "No module named 'no_such_module_of_this_name'" in chromium.text()
        assert "Generation 1 still serves." in chromium.text()
        assert chromium.run("return document.getElementById('refused').getAttribute('role')") == "alert"
        chromium.wait_for("document.title.includes('reload refused')")
        chromium.wait_for("[...document.querySelectorAll('.marks span')].some((each) => each.innerText === '✕ 2')")
        assert all("generation 2 was refused" in each for each in chromium.run(f"return {NAMES}") if " in the " in each)
        chromium.run("document.getElementById('acknowledge').click()")
        chromium.wait_for("document.getElementById('refused').hidden")
        chromium.go(f"{served.admin._address}/")  # it is remembered
        chromium.wait_for_text("generation 2 was refused")
        assert chromium.run("return document.getElementById('refused').hidden")
        served.signal(signal.SIGHUP)
        chromium.wait_for_text("Reload refused: generation 3")
        for process in (*served.templates(), *served.workers()):
            process.kill()
        chromium.wait_for_text("Generation 1 has no ready worker.")
        (tmp_path / "main.py").write_text(good)
        served.signal(signal.SIGHUP)
        chromium.wait_for_text("took over")
        assert chromium.run("return document.getElementById('refused').hidden")


def test_dashboard_rows_keep_selection_when_workers_change(tmp_path, chromium):
    (tmp_path / "go").touch()
    with Monitored(tmp_path, "-w", "3").wait_ready() as served:
        chromium.go(f"{served.admin._address}/")
        chromium.wait_for(f"{CELLS}.length === 3")
        last = chromium.run(
            "const row = document.querySelectorAll('#workers tr')[2]; row.kept = true;"
            "getSelection().selectAllChildren(row.cells[3]); return row.cells[3].textContent"
        )
        os.kill(int(chromium.run(f"return {CELLS}[0][3]")), signal.SIGKILL)
        chromium.wait_for_text("was restarted once")
        chromium.wait_for(f"{CELLS}.length === 3 && {CELLS}.every((cells) => cells[1] === 'ready')")
        assert chromium.run("return getSelection().toString()") == last
        assert chromium.run("return document.querySelectorAll('#workers tr')[2].kept")


@pytest.mark.parametrize("width", [400, 1400])
def test_dashboard_scrolls_by_keyboard_alone(tmp_path, chromium, width):
    (tmp_path / "go").touch()
    with Monitored(tmp_path).wait_ready() as served:
        chromium.resize(width, 900)
        chromium.go(f"{served.admin._address}/")
        chromium.wait_for(f"{CELLS}.length === 1")
        assert chromium.run("return document.documentElement.scrollWidth <= innerWidth")
        unreachable = chromium.run("""
            const scrolls = (each) => ['auto', 'scroll'].includes(getComputedStyle(each).overflowX)
                || ['auto', 'scroll'].includes(getComputedStyle(each).overflowY);
            return [...document.body.querySelectorAll('*')]
                .filter((each) => scrolls(each) && !(each.tabIndex === 0 && each.getAttribute('aria-label')))
                .map((each) => each.outerHTML.slice(0, 80));""")
        assert unreachable == []
