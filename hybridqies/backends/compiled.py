"""What was made for a circuit, found again by the circuit's identity."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from hybridqies.circuit import Circuit

Made = TypeVar("Made")


class Compiled(Generic[Made]):
    """Keeps what `make` gives for a circuit.

    By identity: hashing a circuit of a thousand gates would cost more than looking it up saves.
    """

    def __init__(self, make: Callable[[Circuit], Made]) -> None:
        self._make = make
        self._held: dict[int, tuple[Circuit, Made]] = {}

    def __call__(self, circuit: Circuit) -> Made:
        """What was made for `circuit`, now or before."""
        held = self._held.get(id(circuit))
        if held is None or held[0] is not circuit:
            # The circuit is kept with it, so that no other gets its identity, except in a copy of this.
            held = (circuit, self._make(circuit))
            self._held[id(circuit)] = held
        return held[1]
