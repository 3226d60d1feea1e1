"""Qiskit Aer: exact, sampled or noisy, all samples and displaced points in one run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hybridqies.backends.base import Capabilities, Variant
from hybridqies.backends.circuit_cache import CircuitCache
from hybridqies.backends.device_snapshots import build_noise_model, load_snapshot, read_confusions
from hybridqies.backends.estimate import Estimate
from hybridqies.backends.executor import ExecutingBackend, derive_seed
from hybridqies.backends.frequencies import Frequencies, estimate_observables
from hybridqies.backends.measurement_bases import group_observables, split_by_basis
from hybridqies.backends.noise import NoiseOptions, apply_confusions
from hybridqies.backends.parameter_binding import Bindable
from hybridqies.backends.resources import Resources
from hybridqies.backends.transpiler import Transpiler, measured_qubits, used_qubits
from hybridqies.circuit import Circuit, Start
from hybridqies.circuit.qiskit import observables_to_qiskit, reverse_amplitudes, to_qiskit
from hybridqies.errors import CapabilityError

if TYPE_CHECKING:
    from qiskit import QuantumCircuit
    from qiskit.result import Result
    from qiskit_aer.noise import NoiseModel

Floats = NDArray[np.float64]

# Qubits up to which samples are drawn from probabilities, the same distribution 10 times faster than by Aer.
_DENSE = 12
# A chain of as many qubits as a state vector takes needs no more memory than that.
_ALWAYS_HELD = 28
_MOST_BOND = 4096
# Amplitudes of all rows up to which Aer binds at run time: twice as fast, but it holds every state at once.
_HELD = 2**22


@dataclass(frozen=True, slots=True)
class AerOptions(NoiseOptions):
    """The channels of `NoiseOptions`, or the noise of a device.

    `device` names a snapshot (fake_torino): circuits are compiled for it and have its errors.
    """

    device: str | None = None

    def __post_init__(self) -> None:
        NoiseOptions.__post_init__(self)
        if self.device and not self.noise.is_none:
            raise CapabilityError(
                f"device={self.device} was given with other noise",
                expected="one or the other: a device has its own noise",
            )

    @property
    def has_noise(self) -> bool:
        """Whether there is any noise."""
        return bool(self.device) or not self.noise.is_none


def _variant(target: str, summary: str, max_qubits: int) -> Variant:
    able = Capabilities(
        native_gradients=False,
        shots=True,
        noise=True,
        hardware=False,
        amplitude_input=True,
        max_qubits=max_qubits,
        costs_money=False,
    )
    return Variant(target, summary, able, packages=("qiskit_aer",))


def bound_bond(circuit: Circuit) -> int:
    """The largest bond dimension that a chain of the circuit's qubits can need, counted by its gates.

    A gate on two qubits is a sum of at most two products, a SWAP of four, and multiplies the dimension of
    every bond between them by that number; no bond needs more than the smaller of its sides has.
    """
    n = circuit.n_qubits
    powers = [0] * (n - 1)
    for each in circuit.gates:
        if len(each.qubits) == 2:
            for cut in range(min(each.qubits), max(each.qubits)):
                powers[cut] += 2 if each.type.name == "SWAP" else 1
    return 1 << max((min(power, cut + 1, n - 1 - cut) for cut, power in enumerate(powers)), default=0)


class Aer(ExecutingBackend):
    """Qiskit Aer on the CPU.

    Raises
    ------
    CapabilityError: noise was asked of a pure state without shots, or a device together with other noise.
    UnknownNameError: there is no such device.
    """

    name: ClassVar[str] = "aer"
    variants: ClassVar[tuple[Variant, ...]] = (
        _variant("statevector", "Qiskit Aer: exact, or shots; noise by a trajectory a shot", 28),
        _variant("density_matrix", "Qiskit Aer: density matrices, whose noisy values are exact", 12),
        _variant("matrix_product_state", "Qiskit Aer: matrix product states, for little entanglement", 62),
    )
    Options: ClassVar[type] = AerOptions

    def __init__(self, target: str = "", **options: Any) -> None:
        super().__init__(target, **options)
        given: AerOptions = self.options
        if given.has_noise and given.shots is None and not self._is_mixed:
            raise CapabilityError(
                f"backend {self.label!r} was asked for noise without shots",
                expected="shots=..., or aer:density_matrix, whose noisy values are exact",
            )
        if given.device:
            self._device = load_snapshot(given.device)
            self._transpiler = Transpiler(self._device.target)
            # A start from amplitudes would be another circuit to compile for every sample.
            most = min(self.capabilities.max_qubits, self._device.num_qubits)
            self.capabilities = replace(self.capabilities, amplitude_input=False, max_qubits=most)
        self._prepared = CircuitCache(self._made)

    @property
    def is_exact(self) -> bool:
        """Whether it was asked for neither shots nor noise."""
        return self.options.shots is None and not self.options.has_noise

    def resources(self, circuit: Circuit) -> Resources:
        """As it is written, or as it is compiled for the device."""
        return self._transpiler.resources(circuit) if self.options.device else super().resources(circuit)

    def _check_size(self, circuit: Circuit) -> None:
        """Refuses too many qubits, and long chains whose bonds may need more memory than there is."""
        super()._check_size(circuit)
        if self.target != "matrix_product_state" or circuit.n_qubits <= _ALWAYS_HELD:
            return
        bond = bound_bond(circuit)
        if bond > _MOST_BOND:
            raise CapabilityError(
                f"the bonds of circuit {circuit.name!r} on {circuit.n_qubits} qubits may need dimension "
                f"{bond:,} on backend {self.label!r}",
                expected=f"at most {_MOST_BOND:,}, which is exact in half a gigabyte a qubit",
                todo="use fewer qubits, or fewer gates across the middle of the chain",
            )

    @property
    def _is_mixed(self) -> bool:
        return self.target == "density_matrix"

    def _is_dense(self, circuit: Circuit) -> bool:
        """Whether Aer is asked for the probabilities of all outcomes."""
        if self._is_mixed:
            return True
        sampled = self.options.shots is not None and self.target == "statevector"
        return sampled and not self.options.has_noise and circuit.n_qubits <= _DENSE

    def _execute(self, circuit: Circuit, angles: Tensor, amplitudes: Tensor | None) -> Estimate:
        prepared = self._prepared(circuit)
        rows, seed = len(angles), derive_seed(self.options.seed, circuit, angles, amplitudes)
        jobs = [_job(each, angles.numpy(), amplitudes, self._is_mixed) for each in prepared.circuits]
        size = circuit.n_qubits * (2 if self._is_mixed else 1)
        result = prepared.simulator.run(
            [one for circuits, _ in jobs for one in circuits],
            parameter_binds=[one for _, binds in jobs for one in binds],
            shots=self.options.shots or 1,
            seed_simulator=seed % 2**31,
            max_parallel_experiments=0,
            runtime_parameter_bind_enable=rows << size <= _HELD,
        ).result()
        _check_success(result, self.label)
        if not self._is_dense(circuit) and self.options.shots is None:
            return _expectations(result, len(circuit.observables))
        parts = [range(at, at + rows) for at in range(0, len(result.results), rows)]
        if not self._is_dense(circuit):
            return estimate_observables(circuit, [_counts(result, part) for part in parts])
        draw = np.random.default_rng(seed)
        read = [
            self._frequencies(result, part, confusions, draw)
            for part, confusions in zip(parts, prepared.confusions, strict=True)
        ]
        return estimate_observables(circuit, read)

    def _made(self, circuit: Circuit) -> _Prepared:
        from qiskit_aer import AerSimulator

        noise: Any = None
        qubits = [list(range(circuit.n_qubits))] * len(group_observables(circuit.observables))
        if self.options.device:
            compiled = [self._transpiler(each) for each in split_by_basis(circuit)]
            noise = build_noise_model(self._device, set().union(*map(used_qubits, compiled)))
            qubits = [measured_qubits(each) for each in compiled]
        elif (confusion := self.options.noise.confusion) is not None:
            noise = _misreading(confusion)
        known = read_confusions(noise)
        return _Prepared(
            [Bindable.of(each, circuit.n_weights) for each in self._circuits(circuit)],
            AerSimulator(method=self.target, noise_model=noise),
            [[known.get(each, known.get(None)) for each in places] for places in qubits],
        )

    def _circuits(self, circuit: Circuit) -> Iterator[QuantumCircuit]:
        """What Aer runs for a circuit: once with its expectations, or once for each measurement basis."""
        from qiskit_aer.library import SaveExpectationValue

        if self.options.shots is not None or self._is_dense(circuit):
            for each in split_by_basis(circuit):
                yield self._read_out(each, len(circuit.gates))
            return
        built = _from_start(circuit)
        for at, observable in enumerate(observables_to_qiskit(circuit)):
            built.append(SaveExpectationValue(observable, label=str(at)), range(circuit.n_qubits))
        yield built

    def _read_out(self, circuit: Circuit, n_noisy: int) -> QuantumCircuit:
        """One basis' circuit, whose first `n_noisy` gates have errors: those that its author wrote."""
        from qiskit_aer.library import SaveProbabilities

        if self.options.device:
            built = self._transpiler(circuit).copy()
        else:
            built = self._with_errors(_from_start(circuit), n_noisy)
            built.measure_all()
        if self._is_dense(circuit):
            qubits = measured_qubits(built)
            built.remove_final_measurements()
            # The first of them is Aer's least significant bit.
            built.append(SaveProbabilities(circuit.n_qubits), qubits[::-1])
        return built

    def _with_errors(self, circuit: QuantumCircuit, n_noisy: int) -> QuantumCircuit:
        """`circuit` with the errors of its channels after each of its first `n_noisy` gates.

        They are instructions in the circuit, not a noise model by gate names: a gate then has one error,
        however Aer decomposes it.
        """
        noise = self.options.noise
        if not noise.has_gate_errors:
            return circuit
        errors = {size: [each.to_instruction() for each in noise.in_aer(size)] for size in (1, 2)}
        noisy = circuit.copy_empty_like()
        for at, row in enumerate(circuit.data):
            noisy.append(row)
            for each in errors.get(len(row.qubits), ()) if at < n_noisy else ():
                noisy.append(each, row.qubits)
        return noisy

    def _frequencies(
        self, result: Result, part: range, confusions: Sequence[Floats | None], draw: np.random.Generator
    ) -> Frequencies:
        """What is read of these rows, by probabilities or by samples of them."""
        seen = np.stack([result.results[at].data.probabilities for at in part])
        exact = Frequencies.of_probabilities(apply_confusions(seen, confusions).clip(min=0))
        return exact if self.options.shots is None else exact.sampled(self.options.shots, draw)


@dataclass(frozen=True, eq=False, slots=True)
class _Prepared:
    """What runs a circuit: Aer's circuits, the simulator with its noise, and readout errors.

    `confusions` has for each basis and qubit the readout probabilities, a row for each true bit, or None.
    """

    circuits: list[Bindable]
    simulator: Any
    confusions: list[list[Floats | None]]


def _misreading(confusion: Floats) -> NoiseModel:
    """Aer's noise model of bits that are flipped at readout, on every qubit."""
    from qiskit_aer.noise import NoiseModel, ReadoutError

    model = NoiseModel()
    model.add_all_qubit_readout_error(ReadoutError(confusion))
    return model


def _from_start(circuit: Circuit) -> QuantumCircuit:
    """The gates alone; a start from amplitudes is put before them sample by sample."""
    return to_qiskit(replace(circuit, start=Start.ZERO))


def _job(
    bindable: Bindable, angles: Floats, amplitudes: Tensor | None, is_mixed: bool
) -> tuple[list[QuantumCircuit], list[dict[Any, list[float]]]]:
    """Circuits and what is bound in them: one for all rows, unless rows differ in more than angles."""
    if amplitudes is None and bindable.parameters:
        return [bindable.circuit], [bindable.binds(angles)]
    binds = [bindable.binds(angles[at : at + 1]) for at in range(len(angles))]
    if amplitudes is None:
        return [bindable.circuit] * len(angles), binds
    return [_started(bindable.circuit, each, is_mixed) for each in amplitudes], binds


def _started(circuit: QuantumCircuit, amplitudes: Tensor, is_mixed: bool) -> QuantumCircuit:
    """`circuit` from a state of its own, set and not prepared by gates, which would err."""
    from qiskit.circuit.library import Initialize
    from qiskit_aer.library import SetDensityMatrix

    vector = reverse_amplitudes(amplitudes.numpy(), circuit.num_qubits).astype(complex)
    state = SetDensityMatrix(np.outer(vector, vector.conj())) if is_mixed else Initialize(vector)
    started = circuit.copy_empty_like()
    started.append(state, range(circuit.num_qubits))
    for row in circuit.data:
        started.append(row)
    return started


def _expectations(result: Result, count: int) -> Estimate:
    saved = [[getattr(each.data, str(at)) for at in range(count)] for each in result.results]
    return Estimate(torch.tensor(saved, dtype=torch.float64))


def _counts(result: Result, part: range) -> Frequencies:
    return Frequencies.of_counts(
        [{bits[::-1]: count for bits, count in result.get_counts(at).items()} for at in part]
    )


def _check_success(result: Result, label: str) -> None:
    if not result.success:
        failed = next((each.status for each in result.results if not each.success), result.status)
        raise CapabilityError(f"backend {label!r} did not run the circuits: {failed}")
