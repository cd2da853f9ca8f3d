"""The report on mutants, from results in the form of mutmut."""

import json

from tests.mutants.__main__ import mutants_in

SOURCE = """
def x_wait__mutmut_orig(at, since):
    return at - since >= 10.0


def x_wait__mutmut_1(at, since):
    return at - since > 10.0


def x_wait__mutmut_2(at, since):
    return at + since >= 10.0


def x_wait__mutmut_3(at, since):
    return None
"""


def test_survivor_has_kind_of_its_change(tmp_path):
    (tmp_path / "health.py").write_text(SOURCE)
    codes = {"corn.health.x_wait__mutmut_1": 0, "corn.health.x_wait__mutmut_2": 0, "corn.health.x_wait__mutmut_3": 1}
    (tmp_path / "health.py.meta").write_text(json.dumps({"exit_code_by_key": codes}))
    first, second, third = mutants_in(tmp_path)
    assert (first.file, first.removed, first.put, first.kind) == ("health.py", ">=", ">", "boundary")
    assert (second.kind, second.is_killed, third.is_killed) == ("figure", False, True)
