"""Expectations of a graph-PEPS in the mean field, or by belief propagation.

The mean field is the identity on each bond, as the weights are in the tensors. Belief propagation finds the
messages between sites that agree with each other. Both are exact on trees where nothing was discarded; belief
propagation is exact on trees in any case.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING

from hybridqies.circuit import PauliString
from hybridqies.circuit.matrices import PAULI_X, PAULI_Y, PAULI_Z
from hybridqies.errors import CapabilityError
from hybridqies.tensornet.graphs import join

if TYPE_CHECKING:
    from torch import Tensor

    from hybridqies.tensornet.graph_peps import GraphPEPS

_PAULIS = {"X": PAULI_X, "Y": PAULI_Y, "Z": PAULI_Z}
MAX_SWEEPS = 200
_CONVERGED = 1e-12
_TINY = 1e-30

Messages = Mapping[tuple[int, int], "Tensor"]
"""The message (B, D, D) from a site to a neighbour, where it isn't the identity; the bra's bond first."""


class Environment:
    """A state and the messages between its sites; without messages it is the mean field."""

    def __init__(self, state: GraphPEPS, messages: Messages | None = None) -> None:
        self.state = state
        self.messages = messages or {}

    def expectation(self, observable: PauliString) -> Tensor:
        """The expectation of a Pauli string, (B,)."""
        import torch

        letters = dict(observable.factors)
        value = torch.ones_like(self.state.discarded)
        while letters:
            root = min(letters)
            parents = join(self.state.neighbours, root, letters)
            own = {site: letters.pop(site) for site in parents if site in letters}
            value = value * self._contract(parents, own) / self._contract(parents, {})
        return value

    def _contract(self, parents: Mapping[int, int | None], letters: Mapping[int, str]) -> Tensor:
        """The sites of a tree between the messages of all others, (B,)."""
        arrived: dict[int, dict[int, Tensor]] = {site: {} for site in parents}
        for site in reversed(list(parents)):
            parent = parents[site]
            if parent is None:
                bra, ket = self._pair(site, None, arrived[site], letters.get(site))
                return (bra.conj() * ket).flatten(1).sum(dim=1).real
            arrived[parent][site] = self.message(site, parent, arrived[site], letters.get(site))
        raise ValueError("a tree has a root")

    def message(
        self, site: int, to: int, arrived: Mapping[int, Tensor] | None = None, letter: str | None = None
    ) -> Tensor:
        """What a site and all behind it are to a neighbour, (B, D, D), with a Pauli matrix on the site."""
        bra, ket = self._pair(site, to, arrived or {}, letter)
        axis = 2 + self.state.neighbours[site].index(to)
        bra, ket = (each.movedim(axis, -1).flatten(1, -2) for each in (bra, ket))
        weights = self.state.weights[min(site, to), max(site, to)]
        inverse = (1 / weights.clamp(min=_TINY)).to(ket)
        return inverse[:, :, None] * (bra.mH @ ket) * inverse[:, None, :]

    def _pair(
        self, site: int, to: int | None, arrived: Mapping[int, Tensor], letter: str | None
    ) -> tuple[Tensor, Tensor]:
        """A site, and the site with the operator and the messages from all neighbours but `to`."""
        bra = ket = self.state.tensors[site]
        if letter is not None:
            ket = (bra.new_tensor(_PAULIS[letter]) @ ket.reshape(len(ket), 2, -1)).reshape(ket.shape)
        for axis, other in enumerate(self.state.neighbours[site], 2):
            found = arrived.get(other, self.messages.get((other, site)))
            if other != to and found is not None:
                moved = ket.movedim(axis, -1)
                applied = moved.flatten(1, -2) @ found.mT
                ket = applied.reshape(moved.shape).movedim(-1, axis)
        return bra, ket


def propagate_beliefs(state: GraphPEPS) -> Environment:
    """The environment whose messages agree, found by sweeps from the mean field.

    Alkabetz, Arad, Phys. Rev. Research 3, 023073 (2021). On a tree two sweeps are enough.

    Raises
    ------
    CapabilityError: the messages still change after MAX_SWEEPS sweeps.
    """
    messages: dict[tuple[int, int], Tensor] = {}
    environment = Environment(state, messages)
    order = [(site, other) for site in _leaves_last(state) for other in state.neighbours[site]]
    change = 0.0
    for sweep in range(MAX_SWEEPS):
        change = 0.0
        for site, other in order if sweep % 2 else reversed(order):
            new = environment.message(site, other)
            new = new / new.diagonal(dim1=1, dim2=2).sum(dim=1)[:, None, None]
            old = messages.get((site, other))
            change = max(change, 1.0 if old is None else float((new - old).abs().max()))
            messages[site, other] = new
        if change < _CONVERGED:
            return environment
    raise CapabilityError(
        f"belief propagation did not converge: after {MAX_SWEEPS} sweeps messages change by {change:.1e}",
        expected="messages that agree",
        todo="use the mean field",
    )


def _leaves_last(state: GraphPEPS) -> list[int]:
    """All sites, each after one of its neighbours where it has any before it."""
    seen: dict[int, None] = {}
    for root in range(len(state.neighbours)):
        waiting = deque([root] if root not in seen else [])
        while waiting:
            site = waiting.popleft()
            if site not in seen:
                seen[site] = None
                waiting.extend(state.neighbours[site])
    return list(seen)
