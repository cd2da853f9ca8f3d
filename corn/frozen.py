"""Frozen dataclasses with slots, of which each process of corn defines a hundred when it starts.

`@frozen` makes what `dataclass(frozen=True, slots=True)` makes, but compiles one function for each class, `__init__`,
and shares the others. `dataclass` compiles six, which took a third of the CPU time of a master's start.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import FrozenInstanceError, dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

__all__ = ["dataclass_transform", "fields_of", "frozen"]

Class = TypeVar("Class")

if TYPE_CHECKING:
    from typing_extensions import dataclass_transform
else:

    def dataclass_transform(**_):
        return lambda decorator: decorator


class _Methods:
    """The methods that the classes share."""

    def __setattr__(self, name: str, value: object) -> None:
        """Set an attribute once, which `__init__` does."""
        if hasattr(self, name):
            raise FrozenInstanceError(f"cannot assign to field {name!r}")
        object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        raise FrozenInstanceError(f"cannot delete field {name!r}")

    def __eq__(self, other: object) -> bool:
        return _values(self) == _values(other) if other.__class__ is self.__class__ else NotImplemented

    def __hash__(self) -> int:
        return hash(_values(self))

    def __repr__(self) -> str:
        shown = ", ".join(map("{}={!r}".format, _names(self), _values(self)))
        return f"{type(self).__qualname__}({shown})"


def _names(instance: Any) -> tuple[str, ...]:
    names: tuple[str, ...] = instance.__match_args__  # the names of the fields
    return names


def _values(instance: object) -> tuple[Any, ...]:
    return tuple([getattr(instance, name) for name in _names(instance)])


def fields_of(instance: object) -> dict[str, Any]:
    """Names and values of the fields; unlike `dataclasses.asdict` it does not copy the values."""
    return dict(zip(_names(instance), _values(instance), strict=True))


_SHARED: dict[str, Callable[..., Any]] = {
    name: vars(_Methods)[name] for name in ("__setattr__", "__delattr__", "__eq__", "__hash__", "__repr__")
}


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(cls: type[Class]) -> type[Class]:
    """Make a class a frozen dataclass with slots; methods of its own are kept."""
    cls.__doc__ = cls.__doc__ or cls.__name__  # or dataclass() would write the signature there, which takes long
    for name, method in _SHARED.items():
        if getattr(cls, name) is getattr(object, name):
            setattr(cls, name, method)
    return dataclass(repr=False, eq=False, slots=True)(cls)
