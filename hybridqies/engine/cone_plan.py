"""A circuit as the plans of its light cones, and the choice between them and the whole state."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from hybridqies.circuit import Circuit, Start
from hybridqies.engine.cones import Cone, find_cones
from hybridqies.engine.costs import FLOPS_AN_ANGLE, count_work
from hybridqies.engine.plan import Plan, Rules, assemble_plan
from hybridqies.engine.simulate import expectations, state_bytes
from hybridqies.engine.workspace import Workspace
from hybridqies.errors import CapabilityError

# Where the final states of all cones take more bytes, none are kept, and the backward pass runs them again.
_MOST_KEPT = 2**30
# Bytes of states that are run at a time then; one cone of a batch may take more.
_AT_ONCE = 2**28
# Cones are only taken where they save this much: gathering their inputs is not among what is counted.
_GAIN = 2
# Checks for the cones of a circuit that can be run whole: about a second.
_CHECKS_FOR_A_CHOICE = 10**7


@dataclass(frozen=True, slots=True, eq=False)
class ConeGroup:
    """Cones of one shape: one plan, and where each of them has its features, weights and observables.

    `features`, `weights` and `members` have a row a cone. With several cones every row of the plan's batch
    has weights of its own.
    """

    plan: Plan
    features: Tensor
    weights: Tensor
    members: Tensor

    def __len__(self) -> int:
        return len(self.members)

    def pieces(self, at_once: int) -> Iterator[ConeGroup]:
        """The group in parts of at most that many cones."""
        for at in range(0, len(self), at_once):
            rows = slice(at, at + at_once)
            yield ConeGroup(self.plan, self.features[rows], self.weights[rows], self.members[rows])

    def bytes_needed(self, features: Tensor, count: int) -> int:
        """Bytes of the states of `count` cones and this batch."""
        return state_bytes(self.plan, len(features) * count, features)

    def count_at_once(self, features: Tensor) -> int:
        """How many cones are run at a time where not all states are kept."""
        return min(len(self), max(1, _AT_ONCE // self.bytes_needed(features, 1)))

    def run(self, features: Tensor, weights: Tensor, *, keep_states: bool) -> Tensor:
        """⟨P⟩ (B, cones * observables) for the inputs of the circuit."""
        batch, count = len(features), len(self)
        own = _gather(features, self.features).reshape(batch * count, self.features.shape[1])
        if weights.dim() == 2:
            own_weights = _gather(weights, self.weights).reshape(batch * count, self.weights.shape[1])
        else:
            own_weights = _gather(weights[None], self.weights).reshape(self.weights.shape)
            if self.plan.flat.tables.batched_weights:
                own_weights = own_weights.repeat(batch, 1)
            else:
                own_weights = own_weights[0]
        return expectations(self.plan, own, own_weights, keep_states=keep_states).reshape(batch, -1)


@dataclass(frozen=True, slots=True, eq=False)
class ConePlan:
    """The light cones of a circuit, those of one shape together; `order` puts their values in its order."""

    groups: tuple[ConeGroup, ...]
    order: Tensor

    @property
    def n_qubits(self) -> int:
        """The qubits of the widest cone."""
        return max(group.plan.n_qubits for group in self.groups)

    @property
    def n_cones(self) -> int:
        """How many states a sample takes."""
        return sum(map(len, self.groups))

    @property
    def work(self) -> int:
        """The work of a sample, forward and backward; see `count_work`."""
        return sum(len(group) * count_work(group.plan) for group in self.groups)

    @property
    def nbytes(self) -> int:
        """The bytes of its plans and of its indices, without the workspace."""
        indices = [each for group in self.groups for each in (group.features, group.weights, group.members)]
        return sum(group.plan.nbytes for group in self.groups) + sum(
            each.numel() * each.element_size() for each in indices
        )

    def expectations(self, features: Tensor, weights: Tensor) -> Tensor:
        """As `engine.expectations`; gradients of inputs are sums over the cones that take them."""
        keeps = self._bytes_of_all(features) <= _MOST_KEPT
        values = [
            piece.run(features, weights, keep_states=keeps)
            for group in self.groups
            for piece in group.pieces(len(group) if keeps else group.count_at_once(features))
        ]
        return torch.cat(values, dim=1).index_select(1, self.order.to(features.device))

    def bytes_needed(self, features: Tensor) -> int:
        """Bytes that states take in a forward and backward pass of this batch, without its inputs."""
        of_all = self._bytes_of_all(features)
        if of_all <= _MOST_KEPT:
            return of_all
        return max(group.bytes_needed(features, group.count_at_once(features)) for group in self.groups)

    def _bytes_of_all(self, features: Tensor) -> int:
        return sum(group.bytes_needed(features, len(group)) for group in self.groups)


def compile_cones(
    cones: Sequence[Cone], *, batched_weights: bool = False, workspace: Workspace | None = None
) -> ConePlan:
    """The plan of a circuit's light cones, all of them; `batched_weights` as in `compile_plan`."""
    workspace = Workspace() if workspace is None else workspace
    shapes: dict[object, list[Cone]] = {}
    for cone in cones:
        shapes.setdefault(cone.shape(), []).append(cone)
    groups = []
    for alike in shapes.values():
        plan = assemble_plan(
            alike[0].part,
            batched_weights=batched_weights or len(alike) > 1,
            rules=Rules(),
            workspace=workspace,
        )
        places = [[getattr(cone, name) for cone in alike] for name in ("features", "weights", "members")]
        groups.append(ConeGroup(plan, *(torch.tensor(rows, dtype=torch.int64) for rows in places)))
    members = torch.cat([group.members.flatten() for group in groups])
    return ConePlan(tuple(groups), members.argsort())


def pick_plan(
    circuit: Circuit, whole: Plan, *, batched_weights: bool = False, workspace: Workspace | None = None
) -> Plan | ConePlan:
    """The light cones of `circuit` where they take at most half the counted work of its whole state.

    Weights that a batch shares are computed once for the whole state, and for each sample in cones of one
    shape.
    """
    if circuit.start is not Start.ZERO:
        return whole
    of_whole = count_work(whole)
    # Every angle is in some cone, so that most small circuits need no search.
    if _GAIN * FLOPS_AN_ANGLE * len(whole.flat.tables.angle_scale) > of_whole:
        return whole
    try:
        cones = find_cones(circuit, _CHECKS_FOR_A_CHOICE)
    except CapabilityError:
        return whole
    by_cones = compile_cones(cones, batched_weights=batched_weights, workspace=workspace)
    return by_cones if _GAIN * by_cones.work <= of_whole else whole


def _gather(inputs: Tensor, places: Tensor) -> Tensor:
    """Columns of inputs (B, …), (B, cones, columns of a cone)."""
    found = inputs.index_select(1, places.flatten().to(inputs.device))
    return found.reshape(len(inputs), *places.shape)
