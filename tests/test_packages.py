"""Imports of the packages that options select."""

import sys

import pytest

from corn.errors import ConfigError
from corn.packages import MissingPackage, import_package
from tests.support.packages import break_package


def test_missing_package_is_named_with_its_extra():
    with pytest.raises(MissingPackage) as raised:
        import_package("no_such_package.part", "--it", extra="more", instead="--other")
    assert (
        str(raised.value) == "--it needs no_such_package, the extra 'more': pip install no_such_package, or use --other"
    )


@pytest.mark.parametrize(
    ("name", "source", "cause"),
    [
        ("broken_one", "raise ImportError('undefined symbol: PyX')", "undefined symbol: PyX"),
        ("broken_one", "import no_such_dependency", "No module named 'no_such_dependency'"),
        ("broken_one.part", "", "No module named 'broken_one.part'; 'broken_one' is not a package"),
    ],
)
def test_broken_package_is_not_reported_as_missing(tmp_path, monkeypatch, name, source, cause):
    monkeypatch.syspath_prepend(break_package(tmp_path, "broken_one", source))
    monkeypatch.delitem(sys.modules, "broken_one", raising=False)
    with pytest.raises(ConfigError) as raised:
        import_package(name, "--it", extra="more", instead="--other")
    assert not isinstance(raised.value, MissingPackage)
    assert str(raised.value) == f"--it cannot import broken_one: {cause}; reinstall it, or use --other"
