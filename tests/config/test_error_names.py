"""Names of options in errors: by the source of the value, with the flag where that is what the user has given."""

import pytest

from corn.config.error_names import named_as_given, options_named_as_given
from corn.config.sources import CALL, COMMAND_LINE
from corn.errors import ConfigError

ORIGINS = {"user": "corn.toml", "workers": COMMAND_LINE, "port": "CORN_PORT", "group": CALL}


@pytest.mark.parametrize(
    ("message", "named"),
    [
        ("--user: no such user", "corn.toml: user: no such user"),
        ("--port: in use", "CORN_PORT: in use"),
        ("--workers: too many", "--workers: too many"),
        ("--umask: invalid", "--umask: invalid"),
        ("--group: no such group", "--group: no such group"),
        ("no right to bind; --user and --port help", "no right to bind; --user and --port help"),
        ("--user is ignored", "--user is ignored"),
        ("--reload-x: not an option", "--reload-x: not an option"),
    ],
)
def test_option_at_start_of_error_is_named_by_its_source(message, named):
    assert named_as_given(message, ORIGINS) == named


@pytest.mark.parametrize(
    ("message", "named"),
    [
        ("--user: no such user", "corn.toml: user: no such user"),
        ("--group: no such group; set --user", "group: no such group; set user"),
        ("--workers: too many", "--workers: too many"),
        ("--umask: invalid", "umask: invalid"),
    ],
)
@pytest.mark.parametrize("origins", [ORIGINS, {**ORIGINS, "app": CALL}])
def test_option_in_error_of_call_is_named_as_argument(message, named, origins):
    assert named_as_given(message, origins, in_call="app" not in origins) == named


def test_errors_within_block_are_renamed_and_others_are_not():
    with pytest.raises(ConfigError, match=r"^corn\.toml: user: no such user$"), options_named_as_given(ORIGINS):
        raise ConfigError("--user: no such user")
    with pytest.raises(ValueError, match=r"^--user: x$"), options_named_as_given(ORIGINS):
        raise ValueError("--user: x")
    with options_named_as_given(ORIGINS):
        pass
