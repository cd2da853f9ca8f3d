"""The time zone of log lines is that of corn's start, whatever the application sets."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.corn_process import Served, write_app
from tests.support.environment import clean_environment

PROGRAM = """
import os, time
from corn.logs.local_time import format_local
for zone in ("", "America/Chicago", "Asia/Kolkata"):
    if zone:
        os.environ["TZ"] = zone
        time.tzset()
    for month in (1, 7):
        print(format_local("%Y-%m-%d %H:%M %z", 1767225600 + (month - 1) * 30 * 86400))
"""


@pytest.mark.parametrize(
    ("zone", "winter", "summer"),
    [
        ("Asia/Tokyo", "2026-01-01 09:00 +0900", "2026-06-30 09:00 +0900"),
        ("Europe/Berlin", "2026-01-01 01:00 +0100", "2026-06-30 02:00 +0200"),
        ("UTC", "2026-01-01 00:00 +0000", "2026-06-30 00:00 +0000"),
        ("XYZ-3", "2026-01-01 03:00 +0300", "2026-06-30 03:00 +0300"),
    ],
)
def test_local_time_keeps_zone_of_start(zone, winter, summer):
    environment = clean_environment(TZ=zone)
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [winter, summer] * 3


@pytest.mark.parametrize("mode", ["app", "none"])
def test_worker_lines_have_time_zone_of_master(tmp_path, mode):
    write_app(tmp_path, "one", more="import os, time\nos.environ['TZ'] = 'America/Chicago'\ntime.tzset()\n")
    arguments = ("main:app", "--port", "0", "--preload", mode, "--access-log-format", "%(t)s")
    with Served(tmp_path, *arguments, TZ="Asia/Tokyo").wait_ready() as served:
        served.client().get()
        served.wait_for(r"^\[.* \+0900\]$")
