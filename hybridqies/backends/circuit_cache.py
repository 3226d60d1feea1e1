"""A bounded cache of what was made for a circuit."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

from hybridqies.circuit import Circuit

Made = TypeVar("Made")

# A model has a handful of circuits; a backend that many models share needs room for those in use at a time.
_MOST = 64


class CircuitCache(Generic[Made]):
    """Keeps what `make` gives for each of the last `size` circuits used; `len(cache)` says how many it holds.

    Circuits are told apart by identity, since hashing a thousand gates would cost more than it saves;
    with `by_content` by their digest, so that equal circuits share what is expensive to make.
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
        # The circuit is kept beside what was made, so that no other gets its identity while it is here.
        # In a copy of this cache the identities are those of other objects.
        if held is None or not (self._by_content or held[0] is circuit):
            held = (circuit, self._make(circuit))
            self._held[key] = held
            while len(self._held) > self._size:
                self._held.popitem(last=False)
        self._held.move_to_end(key)
        return held[1]

    def values(self) -> list[Made]:
        """What is held, the circuit used last at the end."""
        return [made for _, made in self._held.values()]

    def __len__(self) -> int:
        return len(self._held)
