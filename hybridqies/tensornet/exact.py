"""Exact expectations of circuits on trees and rings, without a singular value decomposition.

Each RZZ is a sum of two products: a projector on one qubit times a phase on the other. The sum is the index
of a bond, so that a bond with g gates has 2**g values. A tree is contracted from its leaves. All operations
are products and sums, whose derivatives are finite everywhere. The derivative of a decomposition is not
finite where singular values are equal, as those of CZ and RZZ(π/2) are. A loop is opened at one of its edges,
and the contraction is summed over the values of that edge in the state and in its conjugate.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from hybridqies.circuit import Angle, Circuit, Gate, PauliString
from hybridqies.circuit.matrices import PAULI_X, PAULI_Y, PAULI_Z
from hybridqies.errors import CapabilityError
from hybridqies.tensornet.gate_tables import AngleTable, TurnTable, ising_phases
from hybridqies.tensornet.graphs import cut_loops, join, split_into_parts
from hybridqies.tensornet.ising_form import drop_unread, to_ising_form
from hybridqies.tensornet.schedule import schedule

if TYPE_CHECKING:
    from torch import Tensor

Pair = tuple[int, int]
MAX_CUTS = 20
"""More cuts are never of use: each multiplies the cost by 4 for each gate on its edge."""
_PAULIS = {"X": PAULI_X, "Y": PAULI_Y, "Z": PAULI_Z}


@dataclass(frozen=True, slots=True)
class _Turn:
    """One-qubit gates: row `number` of the table of turns."""

    number: int


@dataclass(frozen=True, slots=True)
class _Bond:
    """A gate on an edge: the projector where `number` is None, else the phases of that row of the angles."""

    pair: Pair
    number: int | None


@dataclass(frozen=True, eq=False, slots=True)
class ExactNetwork:
    """A circuit as a network of one tensor a qubit.

    `steps` are what each qubit undergoes, `gates` the number of RZZ on each edge, `neighbours` those in the
    trees, and `cut` the edges at which loops are opened. `parts` numbers the connected part of each qubit.
    """

    circuit: Circuit
    steps: tuple[tuple[_Turn | _Bond, ...], ...]
    turns: TurnTable
    angles: AngleTable
    gates: Mapping[Pair, int]
    neighbours: tuple[tuple[int, ...], ...]
    cut: tuple[Pair, ...]
    parts: tuple[int, ...]

    @classmethod
    def of(cls, circuit: Circuit, cuts: int = 1) -> ExactNetwork:
        """The network of a circuit; gates that change no observable are left out.

        Raises
        ------
        CapabilityError: a connected part of it needs more than `cuts` cuts; a tree needs none, a ring one.
        """
        form = drop_unread(to_ising_form(circuit))
        steps: list[list[_Turn | _Bond]] = [[] for _ in range(circuit.n_qubits)]
        gates: dict[Pair, int] = {}
        turns: list[list[Gate]] = []
        angles: list[Angle] = []
        for each in schedule(form):
            for site, turned in each.turns.items():
                steps[site].append(_Turn(len(turns)))
                turns.append(turned)
            for pair, angle in each.bonds.items():
                gates[pair] = gates.get(pair, 0) + 1
                steps[pair[0]].append(_Bond(pair, None))
                steps[pair[1]].append(_Bond(pair, len(angles)))
                angles.append(angle)
        cut = cut_loops(circuit.n_qubits, gates)
        neighbours: list[list[int]] = [[] for _ in range(circuit.n_qubits)]
        for first, second in gates.keys() - set(cut):
            neighbours[first].append(second)
            neighbours[second].append(first)
        parts = split_into_parts(neighbours)
        _check_cuts(circuit, [parts[first] for first, _ in cut], cuts)
        return cls(
            circuit,
            tuple(map(tuple, steps)),
            TurnTable.of(turns, circuit.n_features, circuit.n_weights),
            AngleTable.of(angles, circuit.n_features, circuit.n_weights),
            gates,
            tuple(tuple(sorted(each)) for each in neighbours),
            cut,
            tuple(parts),
        )

    def bytes_needed(self, itemsize: int = 16) -> int:
        """About how many bytes a sample takes, forward and backward."""
        entries = 0
        for site, beside in enumerate(self.neighbours):
            bonds = [2 ** self.gates[_pair(site, other)] for other in beside]
            opened = math.prod(2 ** self.gates[pair] for pair in self.cut if site in pair)
            slices = self.count_slices(self.parts[site])
            own = 2 * math.prod(bonds)
            entries += own * opened + slices * (own * (2 + len(bonds)) + sum(bond**2 for bond in bonds))
        return 2 * itemsize * entries

    def count_slices(self, part: int) -> int:
        """Over how many contractions a part is summed: four for each gate on an edge that is cut."""
        return math.prod(4 ** self.gates[pair] for pair in self._cut_of(part))

    def run(self, features: Tensor, weights: Tensor) -> Tensor:
        """Expectations (B, M) for features (B, F) and weights (B, W), differentiable in both."""
        import torch

        contraction = _Contraction(self, features, weights)
        values = [contraction.expectation(each) for each in self.circuit.observables]
        return torch.stack(values, dim=1)

    def _cut_of(self, part: int) -> list[Pair]:
        return [pair for pair in self.cut if self.parts[pair[0]] == part]


def _check_cuts(circuit: Circuit, parts: Sequence[int], cuts: int) -> None:
    most = max((parts.count(part) for part in parts), default=0)
    if most > MAX_CUTS:
        raise CapabilityError(
            f"the gates of circuit {circuit.name!r} lie on a graph with {most} loops",
            expected="a tree or a ring",
            todo="use fewer qubits and a state vector, or gates on fewer pairs of qubits",
        )
    if most > cuts:
        raise CapabilityError(
            f"the gates of circuit {circuit.name!r} lie on a graph with {most} loops, and cuts is {cuts}",
            expected="a tree, or a ring with cuts=1",
            todo=f"use cuts={most}, whose cost grows by a factor of 4 for each gate on an edge that is cut",
        )


def _pair(first: int, second: int) -> Pair:
    return (first, second) if first < second else (second, first)


class _Contraction:
    """The tensors of a network for a batch, and the messages between them, computed when first asked for.

    A tensor is (B, S, 2, D, …) with a bond to each neighbour; S numbers the slices of its part, or is 1 where
    it doesn't depend on them.
    """

    def __init__(self, network: ExactNetwork, features: Tensor, weights: Tensor) -> None:
        self._network, self._neighbours = network, network.neighbours
        self._ones = features.new_ones(len(features))
        self._turns = network.turns.evaluate(features, weights).unbind()
        self._phases = ising_phases(network.angles.evaluate(features, weights)).unbind()
        self._tensors: dict[int, tuple[Tensor, Tensor]] = {}
        self._messages: dict[Pair, Tensor] = {}
        self._densities: dict[int, Tensor] = {}

    def expectation(self, observable: PauliString) -> Tensor:
        """The expectation of a Pauli string, (B,)."""
        letters = dict(observable.factors)
        value = self._ones
        while letters:
            parents = join(self._neighbours, min(letters), letters)
            own = {site: letters.pop(site) for site in parents if site in letters}
            if len(own) == 1:
                ((site, letter),) = own.items()
                pauli = self._constant(_PAULIS[letter])
                value = value * (self._density(site) * pauli.mT).sum(dim=(1, 2)).real
            else:
                value = value * self._of_many(parents, own)
        return value

    def _density(self, site: int) -> Tensor:
        """The density matrix of a site, (B, 2, 2)."""
        if site not in self._densities:
            bra, ket = self._absorb(site, None, {}, None)
            bra, ket = (each.reshape(*each.shape[:3], -1) for each in (bra, ket))
            self._densities[site] = (ket @ bra.mH).sum(dim=1)
        return self._densities[site]

    def _of_many(self, parents: Mapping[int, int | None], letters: Mapping[int, str]) -> Tensor:
        """The expectation of letters on the sites of a tree."""
        arrived: dict[int, dict[int, Tensor]] = {site: {} for site in parents}
        for site in reversed(list(parents)):
            parent = parents[site]
            if parent is None:
                bra, ket = self._absorb(site, None, arrived[site], letters.get(site))
                return (bra.conj() * ket).flatten(2).sum(dim=2).sum(dim=1).real
            arrived[parent][site] = self._send(site, parent, arrived[site], letters.get(site))
        raise ValueError("a tree has a root")

    def _message(self, site: int, to: int) -> Tensor:
        """What a site and all behind it are to a neighbour, (B, S, D, D); the bra's bond comes first."""
        waiting = [(site, to)]
        while waiting:
            at, towards = waiting[-1]
            sources = [(other, at) for other in self._neighbours[at] if other != towards]
            missing = [source for source in sources if source not in self._messages]
            if missing:
                waiting.extend(missing)
            else:
                waiting.pop()
                if (at, towards) not in self._messages:
                    self._messages[at, towards] = self._send(at, towards, {}, None)
        return self._messages[site, to]

    def _send(self, site: int, to: int, arrived: Mapping[int, Tensor], letter: str | None) -> Tensor:
        axis = 3 + self._neighbours[site].index(to)
        bra, ket = (each.movedim(axis, -1).flatten(2, -2) for each in self._absorb(site, to, arrived, letter))
        return bra.mH @ ket

    def _absorb(
        self, site: int, to: int | None, arrived: Mapping[int, Tensor], letter: str | None
    ) -> tuple[Tensor, Tensor]:
        """A site, and the site with the operator and the messages from all neighbours but `to`."""
        bra, ket = self._tensor(site)
        if letter is not None:
            pauli = self._constant(_PAULIS[letter])
            ket = (pauli @ ket.reshape(*ket.shape[:3], -1)).reshape(ket.shape)
        for axis, other in enumerate(self._neighbours[site], 3):
            if other != to:
                message = arrived[other] if other in arrived else self._message(other, site)
                moved = ket.movedim(axis, -1)
                applied = moved.flatten(2, -2) @ message.mT
                ket = applied.reshape(*applied.shape[:2], *moved.shape[2:]).movedim(-1, axis)
        return bra, ket

    def _tensor(self, site: int) -> tuple[Tensor, Tensor]:
        """The tensor of a site in the conjugate state and in the state."""
        if site not in self._tensors:
            cut = [pair for pair in self._network.cut if site in pair]
            whole = self._build(site, [*(_pair(site, other) for other in self._neighbours[site]), *cut])
            if cut:
                bras, kets = self._slices(self._network.parts[site], cut)
                # The opened bonds come last; a slice has one value of each.
                self._tensors[site] = _take(whole, bras), _take(whole, kets)
            else:
                self._tensors[site] = whole[:, None], whole[:, None]
        return self._tensors[site]

    def _slices(self, part: int, pairs: Iterable[Pair]) -> tuple[list[Tensor], list[Tensor]]:
        """The values of opened bonds in every slice of a part, (S,): in the conjugate and in the state."""
        import torch

        cut = self._network._cut_of(part)
        sizes = [2 ** self._network.gates[pair] for pair in cut for _ in "bk"]
        numbers = torch.arange(math.prod(sizes), device=self._ones.device)
        values = torch.unravel_index(numbers, sizes)
        places = [cut.index(pair) for pair in pairs]
        return [values[2 * at] for at in places], [values[2 * at + 1] for at in places]

    def _build(self, site: int, pairs: Sequence[Pair]) -> Tensor:
        """What becomes of |0⟩ at a site: (B, 2, D, …), with a bond for each of these edges."""
        tensor = self._constant([1, 0]).expand(len(self._ones), 2)
        owners: list[Pair] = []
        for step in self._network.steps[site]:
            if isinstance(step, _Bond):
                table = self._projector if step.number is None else self._phases[step.number]
                # (B or 1, 2, 1, …, 1, 2): the last axis is the value of the bond.
                tensor = tensor[..., None] * table.reshape(-1, 2, *(1 for _ in owners), 2)
                owners.append(step.pair)
            else:
                turned = self._turns[step.number] @ tensor.reshape(len(tensor), 2, -1)
                tensor = turned.reshape(tensor.shape)
        order = [2 + at for pair in pairs for at, owner in enumerate(owners) if owner == pair]
        sizes = [2 ** self._network.gates[pair] for pair in pairs]
        return tensor.permute(0, 1, *order).reshape(len(tensor), 2, *sizes)

    @cached_property
    def _projector(self) -> Tensor:
        return self._constant(((1, 0), (0, 1)))

    def _constant(self, rows: Any) -> Tensor:
        import torch

        return torch.tensor(rows, dtype=self._ones.dtype.to_complex(), device=self._ones.device)


def _take(whole: Tensor, values: Sequence[Tensor]) -> Tensor:
    """The slices (B, S, …) with these values (S,) of the last axes."""
    index: list[slice | Tensor] = [slice(None)] * (whole.dim() - len(values))
    return whole[(*index, *values)].movedim(-1, 1)
