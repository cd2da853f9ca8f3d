import json
from dataclasses import FrozenInstanceError, replace
from typing import Literal, get_args, get_origin, get_type_hints

import pytest

import corn.config
from corn.config.schema import OPTIONS, Config
from corn.config.types import ListOf, Nullable


def test_config_round_trips_through_json():
    config = Config(app="main:app", bind=("a:1", "unix:x"), uds_mode=0o600, limit_max_requests=5)
    assert Config.from_json(json.loads(json.dumps(config.to_json()))) == config


def test_unknown_name_in_package_raises_attribute_error():
    with pytest.raises(AttributeError, match=r"module 'corn.config' has no attribute 'Confg'"):
        corn.config.Confg  # noqa: B018
    assert corn.config.OPTIONS is OPTIONS


def test_config_is_immutable_value():
    config = Config(port=1)
    with pytest.raises(FrozenInstanceError):
        config.port = 2
    with pytest.raises(FrozenInstanceError):
        del config.port
    assert config == Config(port=1) != Config()
    assert hash(config) == hash(replace(Config(), port=1))
    assert ", port=1, " in repr(config)


def test_config_with_unknown_option_raises_type_error():
    with pytest.raises(TypeError, match="unknown options: prot"):
        Config(prot=1)


def test_options_share_no_flag_or_variable():
    flags = [flag for each in OPTIONS for flag in (each.flag, *each.aliases, each.short) if flag]
    variables = [variable for each in OPTIONS for variable in (each.variable, *each.variables)]
    assert len(flags) == len(set(flags))
    assert len(variables) == len(set(variables))
    assert "-c" not in {f"-{each.short}" for each in OPTIONS}


def test_option_help_is_sentence():
    assert [each.name for each in OPTIONS if not each.help.endswith(".") or each.help[0] != each.help[0].upper()] == []


def _innermost(kind):
    return _innermost(kind.item) if isinstance(kind, (ListOf, Nullable)) else kind


def _literals(annotation):
    """Words that an annotation allows, for one value or a tuple."""
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    return next(filter(None, map(_literals, get_args(annotation))), ())


@pytest.mark.parametrize(
    "option", [each for each in OPTIONS if hasattr(_innermost(each.kind), "names")], ids=lambda each: each.name
)
def test_annotation_of_choice_matches_its_names(option):
    assert _literals(get_type_hints(Config)[option.name]) == _innermost(option.kind).names
