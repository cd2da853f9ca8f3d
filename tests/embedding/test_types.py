"""Types of the Python API, checked by mypy --strict in programs that use it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import corn

ROOT = Path(__file__).parents[2]
GOOD = """
import asyncio, ssl
from pathlib import Path
import corn

async def app(scope: object, receive: object, send: object) -> None: ...

async def main() -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    await corn.serve(app, port=0, uds=Path("a"), header=["A: b"], limit_body="1MB", ssl_context=context, signals=False)
    async with corn.Server("main:app", log_config={"version": 1}, ssl_cert_reqs=ssl.CERT_REQUIRED) as server:
        print(server.addresses, server.ready)
        await server.stop(1.0)
    with corn.Server(app) as server:
        server.stop_soon()

if __name__ == "__main__":
    asyncio.run(main())
    corn.run(app, config_file=Path("corn.toml"), loop="asyncio")
    corn.run("main:app", workers="auto", bind="127.0.0.1:8000", uds_mode=0o660)
"""
BAD = {
    "unknown function": ("corn.runn('main:app')", 'Module has no attribute "runn"'),
    "unknown option": ("await corn.serve(app, prot=0)", 'Unexpected keyword argument "prot"'),
    "value of other type": ("await corn.serve(app, port='abc')", 'expected "int"'),
    "invalid choice": ("corn.run('main:app', http='1.1')", "No overload variant"),
    "workers of object": ("corn.run(app, workers=4)", "No overload variant"),
    "reload without master": ("corn.Server(app, soak=1.0)", 'Unexpected keyword argument "soak"'),
}


@pytest.fixture
def check(tmp_path, request):
    """Function that returns the output of mypy --strict for a program.

    Each test has its own cache: it is a database, for which tests that run at the same time would wait, and fail.
    """
    command = [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "program.py"]
    cache = ROOT / ".mypy_cache" / "programs" / request.node.name

    def run(program):
        (tmp_path / "program.py").write_text(program)
        return subprocess.run(
            [*command, "--cache-dir", cache],
            cwd=tmp_path,
            env=os.environ | {"MYPYPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        ).stdout

    return run


def test_valid_programs_pass_and_mistakes_are_refused(check):
    assert check(GOOD).startswith("Success")
    lines = [f"async def program_{number}() -> None:\n    {call}" for number, (call, _) in enumerate(BAD.values())]
    head = "import corn\nasync def app(scope: object, receive: object, send: object) -> None: ...\n"
    said = check(head + "\n".join(lines))
    for number, (name, (_, message)) in enumerate(BAD.items()):
        errors = [line for line in said.splitlines() if line.startswith(f"program.py:{4 + 2 * number}: error")]
        assert any(message in each for each in errors), (name, said)


def test_dir_lists_public_names():
    assert set(corn.__all__) <= set(dir(corn))
    for name in corn.__all__:
        assert getattr(corn, name) is not None


def test_unknown_attribute_raises_attribute_error():
    with pytest.raises(AttributeError, match="module 'corn' has no attribute 'runn'"):
        corn.runn  # noqa: B018


def test_programs_of_embedding_page_pass(check, tmp_path):
    page = (ROOT / "docs" / "how-to" / "embedding.md").read_text()
    (tmp_path / "main.py").write_text(
        "async def app(*_: object) -> None: ...\nasync def consume_queue() -> None: ...\n"
    )
    programs = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(programs) >= 5
    for program in programs:
        assert check(program).startswith("Success"), program
