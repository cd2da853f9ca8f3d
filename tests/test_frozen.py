"""`@frozen` beside the dataclass that it stands for."""

import copy
import pickle
from dataclasses import FrozenInstanceError, asdict, dataclass, field, fields, replace
from typing import ClassVar

import pytest

from corn.frozen import frozen


@frozen
class Event:
    at: float


@frozen
class Fork(Event):
    """Forked worker."""

    worker: int = 3
    names: tuple[str, ...] = field(default_factory=tuple)
    fds: ClassVar[int] = 2

    @property
    def is_first(self) -> bool:
        return self.worker == 0


@dataclass(frozen=True, slots=True)
class Standard:
    at: float
    worker: int = 3
    names: tuple[str, ...] = field(default_factory=tuple)


@frozen
class Named:
    name: str

    def __repr__(self) -> str:
        return self.name

    def __eq__(self, other: object) -> bool:
        return str(self) == str(other)

    __hash__ = None


def test_frozen_class_has_fields_of_dataclass():
    assert [each.name for each in fields(Fork)] == [each.name for each in fields(Standard)]
    assert asdict(Fork(1.0, names=("a",))) == asdict(Standard(1.0, names=("a",)))
    assert replace(Fork(1.0), worker=0) == Fork(1.0, 0)
    assert repr(Fork(1.0)) == repr(Standard(1.0)).replace("Standard", "Fork")
    assert not hasattr(Fork(1.0), "__dict__")


def test_instances_with_equal_values_are_equal():
    assert Fork(1.0) == Fork(1.0)
    assert hash(Fork(1.0)) == hash(Fork(1.0))
    assert Fork(1.0) != Fork(2.0)
    assert Event(1.0) != Fork(1.0)
    assert Event(1.0) != 1.0


def test_instance_is_immutable():
    instance = Fork(1.0)
    for name in ("at", "worker", "fds", "is_first"):
        with pytest.raises(FrozenInstanceError, match=f"cannot assign to field '{name}'"):
            setattr(instance, name, 1)
    with pytest.raises(FrozenInstanceError, match="cannot delete field 'at'"):
        del instance.at
    with pytest.raises(AttributeError):
        instance.other = 1


def test_instance_is_copied_and_pickled():
    instance = Fork(1.0, names=("a",))
    assert copy.deepcopy(instance) == copy.copy(instance) == pickle.loads(pickle.dumps(instance)) == instance


def test_missing_and_unknown_arguments_are_refused():
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'at'"):
        Fork()
    with pytest.raises(TypeError, match="unexpected keyword argument"):
        Event(1.0, worker=1)


def test_methods_of_class_are_kept():
    assert repr(Named("a")) == "a"
    assert Named("a") == "a"
    assert Named.__hash__ is None
