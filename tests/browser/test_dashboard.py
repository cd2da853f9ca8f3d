"""The page of the admin address in a real browser."""

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


def test_the_page_shows_what_becomes_of_the_service(tmp_path, chromium):
    (tmp_path / "go").touch()
    with Monitored(tmp_path, "-w", "2").wait_ready() as served:
        chromium.go(f"{served.admin._address}/")
        chromium.wait_for_text("2 of 2 workers, generation 1")
        with Load(served.address, clients=2):
            chromium.wait_for("document.querySelectorAll('figure svg path').length >= 7")
            chromium.wait_for(f"{CELLS}.some((cells) => parseFloat(cells[5]) > 0)")
            killed = served.workers()[0]
            # From the kill to the page, by the browser's clock: looked for with the deadline of all tests, then told.
            chromium.run(f"""
                window.told = null; window.began = performance.now();
                const looking = setInterval(() => {{
                    const cells = {CELLS};
                    const isNew = (each) => each[1] === 'ready' && each[3] !== '{killed.pid}';
                    if (cells.length === 2 && cells.every(isNew)) {{
                        window.told = performance.now() - window.began; clearInterval(looking);
                    }}
                }}, 20);""")
            killed.kill()
            chromium.wait_for_text("was restarted once")
            assert "killed by SIGKILL" in chromium.text()
            chromium.wait_for("window.told !== null")
            print("a killed worker was shown as restarted after", chromium.run("return window.told"), "ms")
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
