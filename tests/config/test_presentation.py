"""Values as `corn config` prints them."""

import pytest

from corn.config.presentation import plain, text
from corn.config.schema import OPTIONS

BY_NAME = {each.name: each for each in OPTIONS}


@pytest.mark.parametrize(
    ("name", "value", "in_toml", "for_people"),
    [
        ("port", 8000, 8000, "8000"),
        ("uds_mode", 0o660, "660", "660"),
        ("limit_memory", None, None, "-"),
        ("limit_memory", 64 << 20, 64 << 20, "64MiB"),
        ("bind", ("a:1", "b:2"), ("a:1", "b:2"), "a:1, b:2"),
        ("bind", (), (), "-"),
    ],
)
def test_value_is_shown_as_it_is_written(name, value, in_toml, for_people):
    assert (plain(BY_NAME[name], value), text(BY_NAME[name], value)) == (in_toml, for_people)


def test_secret_is_masked_in_each_form():
    option = BY_NAME["ssl_keyfile_password"]
    assert "hunter2" not in f"{plain(option, 'hunter2')} {text(option, 'hunter2')}"
    assert (plain(option, None), text(option, None)) == (None, "-")
