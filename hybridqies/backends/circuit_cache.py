"""A bounded cache of what was made for a circuit."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar

from hybridqies.circuit import Circuit

Made = TypeVar("Made")

# A model has a handful of circuits; a backend that many models share needs room for those in use at a time.
_MOST = 64
# Gates of all circuits together. What is made of a gate takes about a kilobyte.
_MOST_GATES = 200_000


class CircuitCache(Generic[Made]):
    """Keeps what `make` returns for the circuits used last, at most `size` of them.

    Fewer are kept where they have more than 200,000 gates together; the last one is always kept.
    `len(cache)` says how many there are.
    Circuits are told apart by identity, since hashing a thousand gates would cost more than it saves.
    With `by_content` they are told apart by their digest, so that equal circuits share what is expensive
    to make. Threads may share a cache.
    """

    def __init__(
        self, make: Callable[[Circuit], Made], *, size: int = _MOST, by_content: bool = False
    ) -> None:
        self._make = make
        self._size = size
        self._by_content = by_content
        self._held: OrderedDict[int | str, tuple[Circuit, Made]] = OrderedDict()

    def __call__(self, circuit: Circuit) -> Made:
        """What was made for `circuit`, now or before."""
        key = circuit.digest() if self._by_content else id(circuit)
        held = self._held.get(key)
        # The circuit is kept beside what was made, so that no other circuit gets its identity meanwhile.
        # In a copy of this cache the identities are those of other objects.
        if held is None or not (self._by_content or held[0] is circuit):
            held = (circuit, self._make(circuit))
            self._held[key] = held
            self._drop_oldest()
        # Another thread may have dropped it.
        with suppress(KeyError):
            self._held.move_to_end(key)
        return held[1]

    def values(self) -> list[Made]:
        """What is kept; that of the circuit used last comes last."""
        return [made for _, made in list(self._held.values())]

    def is_full(self) -> bool:
        """Whether more is held than may be."""
        n_gates = sum(len(circuit.gates) for circuit, _ in list(self._held.values()))
        return len(self._held) > self._size or n_gates > _MOST_GATES

    def _drop_oldest(self) -> None:
        """Drops circuits, the one used longest ago first, until the cache is within its bounds."""
        while len(self._held) > 1 and self.is_full():
            with suppress(KeyError):
                self._held.popitem(last=False)

    def __len__(self) -> int:
        return len(self._held)
