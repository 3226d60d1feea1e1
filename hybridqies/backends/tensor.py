"""Tensor networks as a backend: exact on trees and rings, else graph-PEPS and matrix product states."""

from __future__ import annotations

import enum
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from hybridqies.backends.base import Capabilities, Variant
from hybridqies.backends.circuit_cache import CircuitCache
from hybridqies.backends.estimate import Estimate
from hybridqies.backends.executor import ExecutingBackend, ExecutionOptions
from hybridqies.backends.gradient_rules import Gradient
from hybridqies.backends.memory import check_memory
from hybridqies.backends.resources import Resources
from hybridqies.backends.truncation import Truncation
from hybridqies.circuit import Circuit, Lattice, load_lattice
from hybridqies.circuit.lattices import MAX_SITES
from hybridqies.errors import CapabilityError
from hybridqies.options import within
from hybridqies.tensornet import ExactNetwork, Program, Simulated
from hybridqies.tensornet.exact import MAX_CUTS
from hybridqies.tensornet.routing import count_swaps, route

MAX_NEIGHBOURS = 4
"""With more, a graph is full of short loops, and simple update returns values that only look right."""
# Bytes of tensors of the samples that run together.
_AT_ONCE = 2**28
# An update holds the tensors before and after it, and their factors.
_COPIES = 3


class Surroundings(enum.Enum):
    """What an expectation takes for the rest of the lattice."""

    MEAN_FIELD = "mean-field"
    BELIEFS = "beliefs"


class Route(enum.Enum):
    """What is done with gates off the lattice."""

    NONE = "none"
    SWAP = "swap"


@dataclass(frozen=True, slots=True)
class ExactOptions(ExecutionOptions):
    """Of `exact`: at most `cuts` edges are cut in each connected part of a circuit. A ring needs one."""

    gradient: Gradient = Gradient.ADJOINT
    cuts: int = 1

    def __post_init__(self) -> None:
        ExecutionOptions.__post_init__(self)
        within(self, "backend option", cuts=(0, MAX_CUTS))


@dataclass(frozen=True, slots=True)
class TruncatedOptions(ExecutionOptions):
    """Bonds keep at most `chi` values; a warning is given where more than `threshold` is discarded.

    Gates off the lattice are refused, or moved onto it with `route` swap.
    """

    chi: int = 32
    route: Route = Route.NONE
    threshold: float = 1e-4

    def __post_init__(self) -> None:
        ExecutionOptions.__post_init__(self)
        within(self, "backend option", chi=(1, 4096), threshold=(0, 1e9))


@dataclass(frozen=True, slots=True)
class PepsOptions(TruncatedOptions):
    """`lattice` is by default the pairs of qubits that the circuit's own gates act on.

    `environment` is what an observable's surroundings are taken for.
    """

    lattice: str | None = None
    environment: Surroundings = Surroundings.MEAN_FIELD

    def __post_init__(self) -> None:
        TruncatedOptions.__post_init__(self)
        if self.lattice is None:
            self.refuse_idle("lattice", "route")


def _variant(target: str, summary: str, options: type, *, native_gradients: bool = False) -> Variant:
    able = Capabilities(
        native_gradients=native_gradients,
        shots=False,
        noise=False,
        hardware=False,
        amplitude_input=False,
        max_qubits=MAX_SITES,
        costs_money=False,
    )
    return Variant(target, summary, able, options=options)


class TensorNetwork(ExecutingBackend):
    """Tensor networks in torch: exact on trees and rings, or with bounded bonds by simple update.

    `exact` differentiates by backpropagation, on the device of its tensors. `peps` and `mps` run in double
    precision on the CPU and have shift rules. Their estimates have a `truncation`: values are exact only
    where nothing is discarded and no loop of the lattice is in a light cone.

    Raises
    ------
    CapabilityError: a circuit with other loops, with gates off the lattice, or that needs more memory than is
        free.
    """

    name: ClassVar[str] = "tensor"
    variants: ClassVar[tuple[Variant, ...]] = (
        _variant(
            "exact",
            "exact contraction of circuits on trees and rings, with gradients",
            ExactOptions,
            native_gradients=True,
        ),
        _variant("peps", "graph-PEPS by simple update: lattices of many qubits, approximate", PepsOptions),
        _variant(
            "mps", "matrix product state on a chain: little entanglement, approximate", TruncatedOptions
        ),
    )

    def __init__(self, target: str = "", **options: Any) -> None:
        super().__init__(target, **options)
        given = getattr(self.options, "lattice", None)
        self._lattice = None if given is None else load_lattice(given)
        self._networks = CircuitCache(lambda circuit: ExactNetwork.of(circuit, self.options.cuts))
        self._programs = CircuitCache(self._compile)

    @property
    def _is_chain(self) -> bool:
        return self.target == "mps"

    @property
    def is_exact(self) -> bool:
        """Whether it is `tensor:exact`; what the others discard depends on the circuit and its angles."""
        return self.target == "exact"

    @property
    def tells_errors(self) -> bool:
        """False where values are approximate: an error is estimated by what a larger `chi` changes."""
        return self.is_exact

    def check(self, circuit: Circuit) -> None:
        """Refuses a circuit as all backends do, and for loops, gates off the lattice or too little memory."""
        super().check(circuit)
        if self.is_exact:
            network = self._networks(circuit)
            self._check_bytes(network, torch.empty(1), network.bytes_needed())
        else:
            self._programs(self.free(circuit).circuit)

    def _check_bytes(self, network: ExactNetwork, features: Tensor, needed: int) -> None:
        # Fewer bytes are always there: asking takes longer than a small circuit.
        if needed > _AT_ONCE:
            todo = "use fewer layers or a smaller batch"
            check_memory(features, network.circuit.n_qubits, needed, todo=todo)

    def resources(self, circuit: Circuit) -> Resources:
        """Depth and gates, with the SWAPs that were added."""
        return Resources.of(circuit if self.is_exact else self._programs(self.free(circuit).circuit).circuit)

    def _run(self, circuit: Circuit, features: Tensor, weights: Tensor, amplitudes: Tensor | None) -> Tensor:
        if self.is_exact and self.options.gradient is Gradient.ADJOINT:
            return self._contract(circuit, features, weights)
        return super()._run(circuit, features, weights, amplitudes)

    def _contract(self, circuit: Circuit, features: Tensor, weights: Tensor) -> Tensor:
        """Exact values, differentiable."""
        network = self._networks(circuit)
        itemsize = features.dtype.to_complex().itemsize
        self._check_bytes(network, features, len(features) * network.bytes_needed(itemsize))
        return network.run(features, weights.expand(len(features), -1))

    def _compile(self, circuit: Circuit) -> Program:
        edges = self._edges(circuit)
        if self._lattice is not None:
            circuit = replace(circuit, n_qubits=self._lattice.n_sites)
        if self.options.route is Route.SWAP and edges is not None:
            circuit = route(circuit, edges)
        program = Program.of(circuit, edges)
        _check_neighbours(program)
        needed = _COPIES * program.bytes_needed(self.options.chi)
        check_memory(torch.empty(1), circuit.n_qubits, needed, todo="use a smaller chi or fewer layers")
        return program

    def _edges(self, circuit: Circuit) -> tuple[tuple[int, int], ...] | None:
        if self._is_chain:
            return load_lattice(f"chain:{circuit.n_qubits}").edges
        if self._lattice is None:
            return None
        _check_fits(self._lattice, circuit)
        return self._lattice.edges

    def _execute(self, circuit: Circuit, angles: Tensor, amplitudes: Tensor | None) -> Estimate:  # noqa: ARG002
        if self.is_exact:
            network = self._networks(circuit)
            rows = angles.split(max(1, _AT_ONCE // network.bytes_needed()))
            return Estimate(torch.cat([self._contract(circuit, each[:, :0], each) for each in rows]))
        estimate, truncation = self._approximate(circuit, angles)
        truncation.warn(self.spec, self.options.threshold)
        return replace(estimate, truncation=truncation)

    def _estimate(
        self,
        circuit: Circuit,
        features: Tensor,
        weights: Tensor,
        amplitudes: Tensor | None,
    ) -> Estimate:
        """Values, and for approximate ones what half of `chi` changes about them."""
        if self.is_exact:
            return super()._estimate(circuit, features, weights, amplitudes)
        free = self.free(circuit)
        angles = free.values(features, weights).detach().cpu().double()
        estimate, truncation = self._approximate(free.circuit, angles)
        drift = torch.zeros_like(estimate.values)
        if self.options.chi > 1 and bool(truncation.discarded.any()):
            half = self._simulate(self._programs(free.circuit), angles, self.options.chi // 2)
            drift = (estimate.values - half.values).abs()
        truncation = replace(truncation, drift=drift)
        truncation.warn(self.spec, self.options.threshold)
        return replace(estimate, truncation=truncation).to(features)

    def _approximate(self, circuit: Circuit, angles: Tensor) -> tuple[Estimate, Truncation]:
        program = self._programs(circuit)
        found = self._simulate(program, angles, self.options.chi)
        swaps = count_swaps(program.circuit) - count_swaps(circuit)
        return Estimate(found.values), Truncation(found.discarded, found.largest, found.bond, swaps)

    def _simulate(self, program: Program, angles: Tensor, chi: int) -> Simulated:
        at_once = max(1, _AT_ONCE // program.bytes_needed(chi))
        # A chain has no loops: beliefs are its exact environment.
        beliefs = self._is_chain or self.options.environment is Surroundings.BELIEFS
        pieces = [
            program.run(rows.new_zeros(len(rows), 0), rows, chi, beliefs=beliefs)
            for rows in angles.split(at_once)
        ]
        return Simulated(
            torch.cat([piece.values for piece in pieces]),
            torch.cat([piece.discarded for piece in pieces]),
            torch.cat([piece.largest for piece in pieces]),
            max(piece.bond for piece in pieces),
        )


def _check_neighbours(program: Program) -> None:
    ends = Counter(site for pair in program.edges for site in pair)
    site, most = max(ends.items(), key=lambda each: each[1], default=(0, 0))
    if most > MAX_NEIGHBOURS:
        raise CapabilityError(
            f"gates of circuit {program.circuit.name!r} join qubit {site} with {most} others",
            expected=f"at most {MAX_NEIGHBOURS} neighbours: simple update takes the rest for a tree",
            todo="use gates of shorter reach, or fewer qubits and a state vector",
        )


def _check_fits(lattice: Lattice, circuit: Circuit) -> None:
    if lattice.n_sites < circuit.n_qubits:
        raise CapabilityError(
            f"lattice {lattice.name!r} has {lattice.n_sites} sites and circuit {circuit.name!r} "
            f"{circuit.n_qubits} qubits",
            expected="no more qubits than sites",
        )
    longest = max(len(each.factors) for each in circuit.observables)
    if lattice.infinite and longest > 1:
        raise CapabilityError(
            f"an observable of {longest} sites was asked for on {lattice.name!r}",
            expected="observables of one site: a site of the cell stands for infinitely many",
        )
