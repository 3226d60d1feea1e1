"""Expectations by sparse Pauli propagation: an observable is turned back through the circuit, term by term.

Exact, as no term is dropped; the number of terms grows with every rotation.
Pauli strings are pairs of bit masks (x, z), the string being i^|x & z| X^x Z^z.
"""

from __future__ import annotations

import math

from hybridqies.circuit import Circuit, Constant, PauliString

Terms = dict[tuple[int, int], float]


def expectation(circuit: Circuit, observable: PauliString) -> float:
    """The expectation after a circuit of RX, RZ and RZZ with constant angles."""
    terms = {_masks(observable.factors): 1.0}
    for each in reversed(circuit.gates):
        (angle,) = each.angles
        assert isinstance(angle, Constant)
        terms = _turn(terms, _masks((qubit, each.type.name[1]) for qubit in each.qubits), angle.value)
    # Z is 1 in |0…0⟩, and X and Y are 0.
    return sum(value for (x, _), value in terms.items() if x == 0)


def _masks(factors) -> tuple[int, int]:
    x = z = 0
    for qubit, letter in factors:
        x |= (letter in "XY") << qubit
        z |= (letter in "ZY") << qubit
    return x, z


def _turn(terms: Terms, generator: tuple[int, int], angle: float) -> Terms:
    """exp(iφG/2) P exp(-iφG/2): cos φ P + i sin φ G P where G and P anticommute, else P."""
    a, b = generator
    turned: Terms = {}
    for (x, z), value in terms.items():
        if ((a & z).bit_count() + (b & x).bit_count()) % 2 == 0:
            turned[x, z] = turned.get((x, z), 0.0) + value
            continue
        turned[x, z] = turned.get((x, z), 0.0) + math.cos(angle) * value
        new = (a ^ x, b ^ z)
        # The power of i in front of i G P; it is even.
        power = 1 + (a & b).bit_count() + (x & z).bit_count() + 2 * (b & x).bit_count()
        power -= (new[0] & new[1]).bit_count()
        sign = {0: 1.0, 2: -1.0}[power % 4]
        turned[new] = turned.get(new, 0.0) + sign * math.sin(angle) * value
    return turned
