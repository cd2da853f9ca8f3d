"""Dashboard of the admin endpoint in a real browser."""

from __future__ import annotations

import signal

import pytest

from tests.support.admin_client import Monitored
from tests.support.chromium import Chromium
from tests.support.http_client import Load


@pytest.fixture
def chromium(program, tmp_path):
    with Chromium(program("chromedriver"), program("chromium"), tmp_path / "profile") as browser:
        yield browser


CELLS = "[...document.querySelectorAll('#workers tr')].map((row) => [...row.cells].map((cell) => cell.textContent))"


def test_dashboard_follows_crash_reload_and_stop(tmp_path, chromium):
    (tmp_path / "go").touch()
    with Monitored(tmp_path, "-w", "2").wait_ready() as served:
        chromium.go(f"{served.admin._address}/")
        chromium.wait_for_text("2 of 2 workers, generation 1")
        with Load(served.address, clients=2):
            chromium.wait_for("document.querySelectorAll('figure svg path').length >= 7")
            chromium.wait_for(f"{CELLS}.some((cells) => parseFloat(cells[5]) > 0)")
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
