"""Gates that only relabel basis states, kept as labels: X, CNOT and SWAP never touch an amplitude."""

from __future__ import annotations

from hybridqies.circuit import Gate

RELABELLING = frozenset({"X", "CNOT", "SWAP"})


class Frame:
    """Which stored amplitude stands for which basis state, as an affine map over GF(2).

    Qubit t of the basis state stored at index p is parity(masks[t] & p) ^ constants[t],
    and flipping that qubit alone means p ^= flips[t]. At the start both masks are
    the qubit's own bit (qubit 0 the most significant); X, CNOT and SWAP change
    the map in place of the state.
    """

    def __init__(self, n_qubits: int) -> None:
        self.masks = [1 << (n_qubits - 1 - qubit) for qubit in range(n_qubits)]
        self.flips = list(self.masks)
        self.constants = [0] * n_qubits

    def relabel(self, gate: Gate) -> None:
        """Takes in an X, CNOT or SWAP."""
        if gate.type.name == "X":
            self.constants[gate.qubits[0]] ^= 1
            return
        a, b = gate.qubits
        if gate.type.name == "CNOT":
            self.masks[b] ^= self.masks[a]
            self.constants[b] ^= self.constants[a]
            self.flips[a] ^= self.flips[b]
            return
        for each in (self.masks, self.flips, self.constants):
            each[a], each[b] = each[b], each[a]

    def place(self, gate: Gate) -> tuple[int, ...]:
        """LOW to FLIP3 of the gate's program row."""
        if len(gate.qubits) == 1:
            (qubit,) = gate.qubits
            mask = self.masks[qubit]
            return (mask.bit_length() - 1, mask, self.constants[qubit], -1, 0, 0, self.flips[qubit], 0, 0)
        a, b = gate.qubits
        # A control has to be 1 and everything else 0 in the first amplitude of a group.
        first = (self.masks[a], self.constants[a] ^ (1 if gate.type.controlled else 0))
        second = (self.masks[b], self.constants[b])
        flips = (
            (self.flips[b], 0, 0)
            if gate.type.controlled
            else (self.flips[b], self.flips[a], self.flips[a] ^ self.flips[b])
        )
        return (*_solved(first, second), *flips)


def _solved(first: tuple[int, int], second: tuple[int, int]) -> tuple[int, ...]:
    """Two parity conditions as (low bit, mask, constant, high bit, mask, constant).

    Each bit stands in its own condition only, so that any setting of the other
    bits determines both.
    """
    (mask_a, constant_a), (mask_b, constant_b) = first, second
    bit_a = mask_a.bit_length() - 1
    if mask_b >> bit_a & 1:
        mask_b, constant_b = mask_b ^ mask_a, constant_b ^ constant_a
    bit_b = mask_b.bit_length() - 1
    if mask_a >> bit_b & 1:
        mask_a, constant_a = mask_a ^ mask_b, constant_a ^ constant_b
    low, high = sorted([(bit_a, mask_a, constant_a), (bit_b, mask_b, constant_b)])
    return (*low, *high)
