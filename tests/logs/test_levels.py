import pytest

from corn.config.sections.logs import Levels
from corn.logs.levels import level_of, parse_levels


@pytest.mark.parametrize(
    ("text", "levels"),
    [
        ("debug", {"master": 10, "worker": 10, "access": 10, "app": 10}),
        ("info,access=warning", {"master": 20, "access": 30, "app": 30}),
        ("access=error", {"master": 20, "access": 40}),
        ("info,app=info", {"master": 20, "app": 20}),
        ("error", {"master": 40, "app": 40}),
        ("WARNING, app=DEBUG", {"template": 30, "app": 10}),
    ],
)
def test_part_uses_its_own_or_general_level(text, levels):
    kept = Levels().parse(text)
    assert {part: level_of(kept, part) for part in levels} == levels


@pytest.mark.parametrize(
    "text", ["", "loud", "info,debug", "info,acces=debug", "access", "info,access=", "=info", None, 3]
)
def test_unknown_level_is_refused_with_valid_ones(text):
    with pytest.raises(
        ValueError, match=r"expected one of debug, info, warning, error.*the parts are master, template"
    ):
        Levels().parse(text)


def test_levels_are_parsed_in_any_order():
    assert parse_levels("access=error,debug") == {"": "debug", "access": "error"}
