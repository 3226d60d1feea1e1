"""What a tape measures: expectations of Pauli words by the engine, all else by PennyLane on final states."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from pennylane.devices.qubit import measure_final_state
from pennylane.exceptions import DeviceError
from pennylane.measurements import ExpectationMP
from torch import Tensor

from hybridqies.backends.memory import check_memory
from hybridqies.circuit import PauliString
from hybridqies.engine import bytes_needed, expectations, final_states
from hybridqies.errors import CapabilityError
from hybridqies.pennylane_device.plans import Plans
from hybridqies.pennylane_device.tape import Program, global_phase, read_tape, stack

# Fewer bytes are not checked against the memory that is free.
_ALWAYS_THERE = 2**26


def reads_pauli_words(tape: Any) -> bool:
    """Whether all that a tape wants are exact expectations of linear combinations of Pauli words."""
    return not tape.shots and all(map(_is_pauli_expectation, tape.measurements))


def pauli_expectations(tape: Any, plans: Plans) -> tuple[Tensor, ...]:
    """The tape's expectations, each (B,) or (), differentiable in all parameters that are torch's.

    Raises
    ------
    DeviceError: an observable that is not Hermitian, or states that do not fit into memory.
    """
    numbers: dict[PauliString, int] = {}
    terms: list[tuple[int, int]] = []
    coefficients: list[Any] = []
    for column, measurement in enumerate(tape.measurements):
        for word, coefficient in measurement.obs.pauli_rep.items():
            string = PauliString(tuple(sorted(word.items())))
            terms.append((numbers.setdefault(string, len(numbers)), column))
            coefficients.append(_real(coefficient, measurement.obs))
    program = read_tape(tape, tuple(numbers))
    if not numbers:
        return tuple(program.weights.new_zeros(program.batch) for _ in tape.measurements)
    plan = plans.expectations(program.structure)
    _check_memory(program, bytes_needed(plan, program.features, program.amplitudes))
    values = expectations(plan, program.features, program.weights, program.amplitudes)
    if not _each_a_word(terms, coefficients, len(tape.measurements)):
        shape = (len(numbers), len(tape.measurements))
        values = values @ _matrix(terms, coefficients, shape).to(values.device)
    return tuple(column.reshape(program.batch) for column in values.unbind(dim=1))


def measured_states(tape: Any, plans: Plans, random: np.random.Generator) -> Any:
    """What PennyLane reads from the tape's final states, exactly or by shots drawn from `random`.

    Raises
    ------
    DeviceError: a gradient is wanted, or states do not fit into memory.
    """
    parameters = tape.get_parameters(trainable_only=False)
    if any(isinstance(each, Tensor) and each.requires_grad for each in parameters):
        raise DeviceError(
            f"the adjoint method was asked for a gradient of {tape.measurements}; expected expectations of "
            "Pauli words; use diff_method='parameter-shift' for this circuit"
        )
    program = read_tape(tape)
    plan = plans.states(program.structure)
    # The states in the kernels' order, in that of the basis, and as complex numbers.
    _check_memory(program, 3 * bytes_needed(plan.plan, program.features, program.amplitudes))
    states = final_states(plan, program.features, program.weights, program.amplitudes).cpu().numpy()
    states = states * np.exp(1j * global_phase(tape)).reshape(-1, 1)
    cube = states.reshape(*program.batch, *[2] * program.structure.n_qubits)
    return measure_final_state(tape, cube, is_state_batched=bool(program.batch), rng=random)


def _is_pauli_expectation(measurement: Any) -> bool:
    observed = measurement.obs if isinstance(measurement, ExpectationMP) else None
    return observed is not None and observed.pauli_rep is not None


def _real(coefficient: Any, observed: Any) -> Any:
    """A term's coefficient as a real number; PennyLane's products of Pauli words bring complex ones."""
    if not (coefficient.is_complex() if isinstance(coefficient, Tensor) else np.iscomplexobj(coefficient)):
        return coefficient
    if abs(coefficient.imag) > 0:
        raise DeviceError(f"{observed} is not Hermitian; expected real coefficients of its Pauli words")
    return coefficient.real


def _each_a_word(terms: Sequence[tuple[int, int]], coefficients: Sequence[Any], n_read: int) -> bool:
    """Whether each measurement is a word of its own, as it is where every qubit is read."""
    plain = all(isinstance(each, float) and each == 1 for each in coefficients)
    return plain and list(terms) == [(at, at) for at in range(n_read)]


def _matrix(terms: Sequence[tuple[int, int]], coefficients: Sequence[Any], shape: tuple[int, int]) -> Tensor:
    """Coefficients as a matrix (words, measurements)."""
    values = stack(coefficients)
    at = torch.tensor(terms, device=values.device).unbind(dim=1)
    return values.new_zeros(shape).index_put(at, values, accumulate=True)


def _check_memory(program: Program, asked: int) -> None:
    if asked <= _ALWAYS_THERE:
        return
    try:
        check_memory(program.features, program.structure.n_qubits, asked)
    except CapabilityError as error:
        raise DeviceError(str(error)) from None
