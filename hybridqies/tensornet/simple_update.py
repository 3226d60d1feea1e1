"""A circuit on a graph by simple update, from gates to expectations."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hybridqies.circuit import Circuit
from hybridqies.errors import CapabilityError
from hybridqies.tensornet.environment import Environment, propagate_beliefs
from hybridqies.tensornet.gate_tables import AngleTable, TurnTable, ising_phases
from hybridqies.tensornet.graph_peps import GraphPEPS
from hybridqies.tensornet.ising_form import drop_unread, to_ising_form
from hybridqies.tensornet.schedule import Round, schedule

if TYPE_CHECKING:
    from torch import Tensor

Pair = tuple[int, int]
OnRound = Callable[[int, int], None]
"""Called with the rounds that are done and all there are."""


@dataclass(frozen=True, eq=False, slots=True)
class Simulated:
    """Expectations (B, M), and what was discarded for them.

    `discarded` (B,) adds up the squares of the discarded singular values over all updates,
    `largest` (B,) is the largest of them, and `bond` the largest bond.
    """

    values: Tensor
    discarded: Tensor
    largest: Tensor
    bond: int


@dataclass(frozen=True, slots=True)
class _Update:
    """An update of a bond: entries of the other bonds at either end, and of the bond before and after."""

    pair: Pair
    first: int
    second: int
    before: int
    after: int

    @property
    def work(self) -> int:
        """Multiplications, with the usual counts for QR (4 m n²) and for a decomposition (4 m² n + 22 n³)."""
        ranks = [min(end, self.before) for end in (self.first, self.second)]
        few, many = sorted(2 * rank for rank in ranks)
        total = 4 * many**2 * few + 22 * few**3
        for end, rank in zip((self.first, self.second), ranks, strict=True):
            if end > self.before:
                total += 2 * (4 * end * self.before**2 + end * rank * self.after)
        return total


@dataclass(frozen=True, eq=False, slots=True)
class Program:
    """A circuit as rounds on the edges of a graph."""

    circuit: Circuit
    edges: tuple[Pair, ...]
    rounds: tuple[Round, ...]
    turns: TurnTable
    angles: AngleTable

    @classmethod
    def of(cls, circuit: Circuit, edges: Sequence[Pair] | None = None) -> Program:
        """The rounds of a circuit; `edges` are those of its own gates by default.

        Gates that change no observable are left out.

        Raises
        ------
        CapabilityError: a gate that is needed acts on a pair of qubits that is no edge.
        """
        form = drop_unread(to_ising_form(circuit))
        pairs = sorted({(min(each.qubits), max(each.qubits)) for each in form.gates if len(each.qubits) == 2})
        if edges is None:
            edges = pairs
        off = set(pairs) - set(edges)
        if off:
            raise CapabilityError(
                f"circuit {circuit.name!r} has {len(off)} pairs of qubits off the lattice, as {min(off)}",
                expected="gates on edges of the lattice",
                todo="choose the lattice of the circuit, or move qubits together with route=swap",
            )
        rounds = tuple(schedule(form))
        counts = circuit.n_features, circuit.n_weights
        turns = TurnTable.of([gates for each in rounds for gates in each.turns.values()], *counts)
        angles = AngleTable.of([angle for each in rounds for angle in each.bonds.values()], *counts)
        return cls(circuit, tuple(edges), rounds, turns, angles)

    def bytes_needed(self, chi: int) -> int:
        """An upper bound on the bytes of all tensors of a sample, from the bonds alone."""
        bonds = dict.fromkeys(self.edges, 1)
        for update in self._updates(chi):
            bonds[update.pair] = update.after
        return sum(32 * math.prod(bonds[pair] for pair in pairs) for pairs in self._beside())

    def count_work(self, chi: int) -> int:
        """An upper bound on the complex multiplications of all updates of a sample, from the bonds alone."""
        return sum(update.work for update in self._updates(chi))

    def _beside(self) -> list[list[Pair]]:
        """The edges at each site."""
        beside: list[list[Pair]] = [[] for _ in range(self.circuit.n_qubits)]
        for pair in self.edges:
            for site in pair:
                beside[site].append(pair)
        return beside

    def _updates(self, chi: int) -> Iterator[_Update]:
        """The sizes of all updates, in their order."""
        bonds, beside = dict.fromkeys(self.edges, 1), self._beside()
        for each in self.rounds:
            for pair in each.bonds:
                first, second = (
                    math.prod(bonds[other] for other in beside[site] if other != pair) for site in pair
                )
                before = bonds[pair]
                after = min(chi, 2 * before, 2 * min(first, before), 2 * min(second, before))
                bonds[pair] = after
                yield _Update(pair, first, second, before, after)

    def run(
        self,
        features: Tensor,
        weights: Tensor,
        chi: int,
        *,
        beliefs: bool = False,
        on_round: OnRound | None = None,
    ) -> Simulated:
        """Expectations for features (B, F) and weights (B, W), in double precision on the CPU."""
        import torch

        with torch.no_grad(), _one_thread():
            state = self.evolve(features, weights, chi, on_round)
            environment = propagate_beliefs(state) if beliefs else Environment(state)
            values = [environment.expectation(each) for each in self.circuit.observables]
        bond = max((each.shape[1] for each in state.weights.values()), default=1)
        return Simulated(torch.stack(values, dim=1), state.discarded, state.largest, bond)

    def evolve(
        self, features: Tensor, weights: Tensor, chi: int, on_round: OnRound | None = None
    ) -> GraphPEPS:
        """The state after all rounds."""
        features, weights = features.double(), weights.double()
        dtype = features.dtype.to_complex()
        state = GraphPEPS(self.circuit.n_qubits, self.edges, chi=chi, batch=len(features), dtype=dtype)
        matrices = iter(self.turns.evaluate(features, weights))
        phases = iter(ising_phases(self.angles.evaluate(features, weights)))
        for done, each in enumerate(self.rounds, 1):
            # The tables have the gates in this order.
            state.turn(dict(zip(each.turns, matrices, strict=False)))
            state.bond(dict(zip(each.bonds, phases, strict=False)))
            if on_round is not None:
                on_round(done, len(self.rounds))
        return state


@contextmanager
def _one_thread() -> Iterator[None]:
    """Keeps torch to one thread: the matrices are small, and bits depend on no number of threads then."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
