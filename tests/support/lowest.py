"""Print the oldest version of each dependency that pyproject.toml allows, for pip: `make test-lowest`.

Those of the extra `test` are not corn's, but for the extras that it repeats.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PROJECT = Path(__file__).parents[2] / "pyproject.toml"


def lowest(project: dict) -> list[str]:
    """Requirements such as click==8.1, of corn and of the extras that users install."""
    extras = project["optional-dependencies"]
    users = [each for name, listed in extras.items() if name not in ("docs", "programs", "test") for each in listed]
    return [re.sub(r">=([0-9.]+)", r"==\1", each).replace(" ", "") for each in (*project["dependencies"], *users)]


if __name__ == "__main__":
    print("\n".join(lowest(tomllib.loads(PROJECT.read_text())["project"])))
