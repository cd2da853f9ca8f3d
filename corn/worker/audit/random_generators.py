"""Random generators created during the import of the application: each worker reseeds the unseeded ones.

A fork copies the state of a generator, so all workers would produce the same "unique" numbers. After a fork, CPython
reseeds only the generator of the module `random`, even if the application has seeded it. After `renew`, a forked worker
has the same generators as one that imports the application itself: unseeded ones are random, and seeded ones keep
their seed.

Unseeded instances of `random.Random` are detected by their calls of `seed`, numpy's bit generators by the entropy of
their seed sequence, which numpy draws with `secrets.randbits`; its results are recorded during the import.
"""

from __future__ import annotations

import contextlib
import gc
import random
import secrets
import sys
import weakref
from typing import Any

_Random = random.Random


class RandomGenerators:
    """Generators created between `begin` and `end`; the application may have seeded some of them."""

    def __init__(self) -> None:
        self._seeded: dict[int, tuple[weakref.ref[_Random], bool]] = {}
        self._entropy: set[int] | None = None
        self._global_state: Any = None
        self._numpy: list[Any] = []

    def begin(self) -> None:
        self._entropy = entropy = set()
        seed, setstate, randbits = _Random.seed, _Random.setstate, secrets.randbits

        def recording_seed(self_: _Random, a: Any = None, *rest: Any, **named: Any) -> None:
            self._record(self_, a is not None)
            seed(self_, a, *rest, **named)

        def recording_setstate(self_: _Random, state: Any) -> None:
            self._record(self_, True)
            setstate(self_, state)

        def recording_randbits(k: int) -> int:
            drawn = randbits(k)
            if self._entropy is not None:
                entropy.add(drawn)
            return drawn

        self._saved = seed, setstate, randbits, random.seed, random.setstate
        vars_of_class: Any = _Random
        vars_of_class.seed, vars_of_class.setstate = recording_seed, recording_setstate
        instance: Any = random.seed.__self__  # type: ignore[attr-defined]  # the one behind the module's functions
        random.seed, random.setstate = instance.seed, instance.setstate
        secrets.randbits = recording_randbits

    def end(self) -> None:
        """Restore the wrapped functions, and find numpy's generators."""
        vars_of_class: Any = _Random
        vars_of_class.seed, vars_of_class.setstate, secrets.randbits, random.seed, random.setstate = self._saved
        entropy, self._entropy = self._entropy or set(), None
        instance = random.seed.__self__  # type: ignore[attr-defined]
        if self._is_seeded(instance):
            self._global_state = random.getstate()
        self._numpy = [each for each in _numpy_generators() if _entropy_of(each) in entropy]

    def renew(self) -> None:
        """In a worker, reseed the unseeded generators and keep the seeded ones, as after an import in the worker."""
        if self._global_state is not None:
            random.setstate(self._global_state)
        for reference, seeded in self._seeded.values():
            generator = reference()
            if generator is not None and not seeded:
                generator.seed()
        for each in self._numpy:
            # A RandomState is seeded by its method, which drops its cached Gaussian too; a bit generator has none.
            with contextlib.suppress(Exception):
                each.seed() if hasattr(each, "seed") else each.__init__()

    def _record(self, generator: _Random, seeded: bool) -> None:
        self._seeded[id(generator)] = weakref.ref(generator), seeded

    def _is_seeded(self, generator: _Random) -> bool:
        reference, seeded = self._seeded.get(id(generator), (None, False))
        return reference is not None and reference() is generator and seeded


def _numpy_generators() -> list[Any]:
    """All bit generators of numpy's, and the RandomStates around some of them."""
    numpy_random = sys.modules.get("numpy.random")
    kinds = {getattr(numpy_random, "BitGenerator", None), getattr(numpy_random, "RandomState", None)} - {None}
    if not kinds:
        return []
    return [each for each in gc.get_objects() if not kinds.isdisjoint(type(each).__mro__)]


def _entropy_of(generator: Any) -> Any:
    """The entropy of its seed sequence; None where an integer seeded it directly, as RandomState does."""
    bits = getattr(generator, "_bit_generator", generator)
    entropy = getattr(getattr(bits, "_seed_seq", None), "entropy", None)
    return entropy if isinstance(entropy, int) else None
