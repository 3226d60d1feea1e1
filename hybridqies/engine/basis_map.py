"""Gates that only relabel basis states, kept as labels: X, CNOT and SWAP never touch an amplitude."""

from __future__ import annotations

from hybridqies.circuit.gate_type import Relabelling


class BasisMap:
    """Which stored amplitude stands for which basis state, as an affine map over GF(2).

    Qubit t of the basis state stored at index p is parity(masks[t] & p) ^ constants[t],
    and flipping that qubit alone means p ^= flips[t]: parity(masks[s] & flips[t]) is 1
    for s = t and 0 otherwise. At the start both are the qubit's own bit (qubit 0 the
    most significant); X, CNOT and SWAP change the map in place of the state.
    """

    def __init__(self, n_qubits: int) -> None:
        self.masks = [1 << (n_qubits - 1 - qubit) for qubit in range(n_qubits)]
        self.flips = list(self.masks)
        self.constants = [0] * n_qubits

    def relabel(self, kind: Relabelling, qubits: tuple[int, ...]) -> None:
        """Takes in an X, CNOT or SWAP."""
        match kind, qubits:
            case Relabelling.FLIP, (a,):
                self.constants[a] ^= 1
            case Relabelling.ADD, (a, b):
                self.masks[b] ^= self.masks[a]
                self.constants[b] ^= self.constants[a]
                self.flips[a] ^= self.flips[b]
            case Relabelling.SWAP, (a, b):
                for each in (self.masks, self.flips, self.constants):
                    each[a], each[b] = each[b], each[a]
            case _:
                raise ValueError(f"relabelling {kind} on qubits {qubits}")
