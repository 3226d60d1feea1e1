"""The diagnosis of a recipe: trainability, expressibility and entanglement against qubits and depth."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from hybridqies.backends.resources import count_cone_qubits
from hybridqies.backends.statevector import StateVector
from hybridqies.circuit import Circuit, Recipe
from hybridqies.diagnostics.entanglement import (
    meyer_wallach,
    random_entropy,
    random_meyer_wallach,
    schmidt_spectrum,
    von_neumann_entropy,
)
from hybridqies.diagnostics.expressibility import expect_of_random, expressibility, pair_fidelities
from hybridqies.diagnostics.gradients import Inputs, differentiate, draw_inputs
from hybridqies.diagnostics.trainability import GradientVariance, measure_variance, random_variance
from hybridqies.errors import InputError
from hybridqies.options import within

# Wider states are measured by their gradients alone, which light cones give.
WIDEST_STATE = 20


@dataclass(frozen=True, slots=True)
class Survey:
    """What is measured: draws of angles for each size, the observable whose gradients count, and the seed."""

    samples: int = 1000
    readout: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        within(self, "diagnosis", samples=(4, 1e6), readout=(0, 1e6), seed=(0, 2**63 - 1))


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean over draws, its standard error, and what Haar-random states have.

    Expressibility is one number of all draws and has no error; its `random` is that of as many random states.
    """

    value: float
    error: float | None
    random: float


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What one circuit shows with angles drawn uniformly from the full circle.

    States over WIDEST_STATE qubits have no measures but the variance of gradients.
    """

    n_qubits: int
    options: Mapping[str, Any]
    depth: int
    two_qubit_gates: int
    n_weights: int
    widest_cone: int | None
    meyer_wallach: Mean | None
    entropy: Mean | None
    spectrum: tuple[float, ...]
    expressibility: Mean | None
    gradient_variance: GradientVariance | None
    random_variance: float


def plan_sizes(
    recipe: Recipe,
    qubits: Sequence[int],
    options: Mapping[str, Any],
    vary: Mapping[str, Sequence[Any]],
    readout: int = 0,
) -> list[tuple[dict[str, Any], Circuit]]:
    """Every circuit that is to be diagnosed, built and checked before the first is simulated.

    Raises
    ------
    InputError: an option that is varied and also given, a readout that a circuit does not have, or what the
        recipe refuses.
    CapabilityError: a circuit that the exact simulator does not take.
    """
    twice = sorted(vary.keys() & options.keys())
    if twice:
        raise InputError(
            f"option {twice[0]!r} was given a value and is varied, too", expected="one of the two"
        )
    backend, planned = StateVector(), []
    for choice in itertools.product(*vary.values()):
        varied = dict(zip(vary, choice, strict=True))
        for n_qubits in qubits:
            circuit = recipe.build(n_qubits, {**options, **varied})
            _check_readout(circuit, readout)
            backend.check(circuit)
            planned.append((varied, circuit))
    return planned


def diagnose(
    circuit: Circuit, survey: Survey | None = None, options: Mapping[str, Any] | None = None
) -> Diagnosis:
    """Measures one circuit; features and weights are uniform in [0, 2π), amplitudes Gaussian.

    `options` are those of the recipe, to be recorded.

    Raises
    ------
    InputError: a readout that the circuit does not have.
    CapabilityError: the exact simulator does not take the circuit.
    """
    survey = survey or Survey()
    _check_readout(circuit, survey.readout)
    draw = partial(draw_inputs, circuit, survey.seed)
    cones, measures = count_cone_qubits(circuit), _StateMeasures(circuit.n_qubits)
    if circuit.n_qubits <= WIDEST_STATE:
        for inputs in draw(survey.samples):
            measures.add(StateVector().states(circuit, *inputs))
    return Diagnosis(
        circuit.n_qubits,
        dict(options or {}),
        circuit.depth(),
        circuit.two_qubit_gates(),
        circuit.n_weights,
        max(cones) if cones else None,
        measures.meyer_wallach,
        measures.entropy,
        measures.spectrum,
        measures.expressibility,
        _variance(circuit, survey.readout, draw(survey.samples)),
        random_variance(circuit.n_qubits),
    )


def diagnose_all(
    planned: Sequence[tuple[Mapping[str, Any], Circuit]],
    survey: Survey | None = None,
    on_size: Callable[[int, int, str], None] = lambda _done, _total, _note: None,
) -> list[Diagnosis]:
    """Diagnoses what `plan_sizes` gave; `on_size` hears how many are done, of how many, and which is next."""
    found = []
    for done, (options, circuit) in enumerate(planned):
        on_size(done, len(planned), f"{circuit.n_qubits} qubits")
        found.append(diagnose(circuit, survey, options))
    on_size(len(planned), len(planned), "")
    return found


def _check_readout(circuit: Circuit, readout: int) -> None:
    if readout >= len(circuit.observables):
        raise InputError(
            f"readout {readout} of circuit {circuit.name!r} on {circuit.n_qubits} qubits was asked for",
            expected=f"0 to {len(circuit.observables) - 1}",
        )


class _StateMeasures:
    """Gathers the measures of states, part by part."""

    def __init__(self, n_qubits: int) -> None:
        self._n_qubits, self._cut = n_qubits, n_qubits // 2
        self._q: list[Tensor] = []
        self._entropies: list[Tensor] = []
        self._fidelities: list[Tensor] = []
        self._spectra: list[Tensor] = []

    def add(self, states: Tensor) -> None:
        """Measures (B, 2**n) more states."""
        self._fidelities.append(pair_fidelities(states))
        if self._cut:
            spectra = schmidt_spectrum(states, self._cut)
            self._q.append(meyer_wallach(states))
            self._entropies.append(von_neumann_entropy(spectra))
            self._spectra.append(spectra)

    @property
    def meyer_wallach(self) -> Mean | None:
        return _mean(self._q, random_meyer_wallach(self._n_qubits))

    @property
    def entropy(self) -> Mean | None:
        return _mean(self._entropies, random_entropy(self._cut, self._n_qubits)) if self._cut else None

    @property
    def spectrum(self) -> tuple[float, ...]:
        """The mean Schmidt spectrum across the middle, its 16 largest values."""
        return tuple(torch.cat(self._spectra).mean(0)[:16].tolist()) if self._spectra else ()

    @property
    def expressibility(self) -> Mean | None:
        if not self._fidelities:
            return None
        fidelities = torch.cat(self._fidelities)
        value = expressibility(fidelities, self._n_qubits)
        return Mean(value, None, expect_of_random(self._n_qubits, len(fidelities)))


def _mean(parts: Sequence[Tensor], random: float) -> Mean | None:
    if not parts:
        return None
    values = torch.cat(list(parts))
    return Mean(float(values.mean()), float(values.std()) / math.sqrt(len(values)), random)


def _variance(circuit: Circuit, readout: int, draws: Iterable[Inputs]) -> GradientVariance | None:
    """The variance of the readout's derivatives; None where the circuit has no weight that moves it."""
    return measure_variance(differentiate(circuit, readout, draws)) if circuit.n_weights else None
