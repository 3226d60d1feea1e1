"""PennyLane's tapes as circuits of the engine; tapes of one structure share a circuit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import pennylane as qml
import torch
from pennylane.exceptions import DeviceError
from pennylane.operation import StatePrepBase
from torch import Tensor

from hybridqies.circuit import GATES, Angle, Circuit, PauliString, Start, Weight, feature, gate

OUR_NAMES = {
    f"Adjoint({row.pennylane.name})" if row.pennylane.adjoint else row.pennylane.name: row.name
    for row in GATES.values()
}
_PHASES = ("Identity", "GlobalPhase")
TARGET_GATES = {*OUR_NAMES, *_PHASES}

# Our name, the qubits, and for each angle whether samples differ in it.
PlacedGate: TypeAlias = tuple[str, tuple[int, ...], tuple[bool, ...]]


class Structure(NamedTuple):
    """Everything in a tape but its numbers; without `observables` it asks for the final state."""

    n_qubits: int
    start: Start
    gates: tuple[PlacedGate, ...]
    observables: tuple[PauliString, ...]


class Program(NamedTuple):
    """A tape as the engine takes it: features (B, F), weights (W,), amplitudes (B, 2**n) or None, in double.

    An angle that samples differ in is a feature, any other a weight. `batch` is () for a tape without
    a batch, which runs as a batch of 1, else (B,).
    """

    structure: Structure
    batch: tuple[int, ...]
    features: Tensor
    weights: Tensor
    amplitudes: Tensor | None


def is_gate(operation: Any) -> bool:
    """Whether the engine runs an operation as it is."""
    return operation.name in TARGET_GATES


def decompose_once(operation: Any) -> Sequence[Any]:
    """The next smaller operations of one that is no gate; those of its matrix where it names none.

    Raises
    ------
    DeviceError: a gradient is wanted for a matrix on several wires.
    """
    rotation = _pauli_rotation(operation)
    if rotation is not None:
        return [rotation]
    is_matrix = operation.name == "QubitUnitary" or not operation.has_decomposition
    if is_matrix and len(operation.wires) > 1 and any(map(qml.math.requires_grad, operation.data)):
        raise DeviceError(
            f"{operation.name} on {len(operation.wires)} wires was given trainable parameters; expected "
            "a gate whose decomposition has a gradient; use such gates, or make the parameters constants"
        )
    if not operation.has_decomposition and operation.has_matrix:
        return [qml.QubitUnitary(operation.matrix(), wires=operation.wires)]
    parts: Sequence[Any] = operation.decomposition()
    return parts


def _pauli_rotation(operation: Any) -> Any | None:
    """The rotation for an exponential of a Pauli word by a torch number: PennyLane can't decompose it."""
    if not isinstance(operation, qml.ops.Exp) or qml.math.get_interface(operation.coeff) != "torch":
        return None
    terms = list((operation.base.pauli_rep or {}).items())
    if len(terms) != 1:
        return None
    (word, factor), wires = terms[0], operation.base.wires
    coefficient = torch.as_tensor(operation.coeff * factor).to(torch.complex128)
    if coefficient.real != 0:
        return None
    letters = "".join(word.get(wire, "I") for wire in wires)
    return qml.PauliRot((2j * coefficient).real, letters, wires)


def read_tape(tape: Any, observables: Sequence[PauliString] = ()) -> Program:
    """The program of a tape on wires 0 to n-1 whose operations are gates, but for a preparation at its start.

    The tensors carry the gradient of the tape's parameters where those are torch's.

    Raises
    ------
    DeviceError: parameters with batches of different sizes, or of more than one axis.
    """
    n_qubits = max(1, len(tape.wires))
    gates, amplitudes, operations = _start(tape.operations, n_qubits)
    columns: dict[bool, list[Any]] = {True: [], False: []}
    sizes = set() if amplitudes is None else set(amplitudes.shape[:-1])
    for each in operations:
        differs = tuple(_ndim(value) > 0 for value in each.data)
        _refuse_further_axes(each)
        sizes.update(len(value) for value, by_sample in zip(each.data, differs, strict=True) if by_sample)
        if each.name in _PHASES:
            continue
        row = GATES[OUR_NAMES[each.name]]
        differs = row.pennylane.own_angles(differs)
        gates.append((row.name, tuple(each.wires), differs))
        for value, by_sample in zip(row.pennylane.own_angles(each.data), differs, strict=True):
            columns[by_sample].append(value)
    if len(sizes) > 1:
        raise DeviceError(f"parameters with batches of {sorted(sizes)} were given; expected one size for all")
    size = max(sizes, default=1)
    start = Start.ZERO if amplitudes is None else Start.AMPLITUDES
    weights = stack(columns[False])
    return Program(
        Structure(n_qubits, start, tuple(gates), tuple(observables)),
        tuple(sizes),
        stack(columns[True]) if columns[True] else weights.new_empty(size, 0),
        weights,
        None if amplitudes is None else amplitudes.expand(size, -1),
    )


def circuit_of(structure: Structure) -> Circuit:
    """The circuit of a structure, angles numbered in the order of its gates; ⟨1⟩ where it reads nothing."""
    counts = {True: 0, False: 0}

    def angle(by_sample: bool) -> Angle:
        counts[by_sample] += 1
        return feature(counts[True] - 1) if by_sample else Weight(counts[False] - 1)

    return Circuit.of(
        structure.n_qubits,
        [gate(name, qubits, *map(angle, differs)) for name, qubits, differs in structure.gates],
        structure.observables or [PauliString(())],
        start=structure.start,
        name="tape",
    )


def global_phase(tape: Any) -> npt.NDArray[np.float64]:
    """The phase that the engine drops from a tape's final state, (B,) or (), in radians."""
    total = np.zeros(())
    for each in tape.operations:
        values = [np.asarray(value) for value in each.data]
        if each.name == "GlobalPhase":
            total = total - values[0]
        elif each.name in OUR_NAMES:
            row = GATES[OUR_NAMES[each.name]]
            if row.phase is not None:
                total = total + row.phase(*row.pennylane.own_angles(values))
    return np.asarray(total)


def stack(values: Sequence[Any]) -> Tensor:
    """Numbers, or columns (B,), as one double tensor (…, N) with the gradient of those that are torch's."""
    tensors = [value for value in values if isinstance(value, Tensor)]
    if not tensors:
        return torch.from_numpy(np.array(values, dtype=np.float64).T.copy())
    device = tensors[0].device
    doubles = [torch.as_tensor(value, dtype=torch.float64, device=device) for value in values]
    return torch.stack(doubles, dim=-1)


def _start(operations: Sequence[Any], n_qubits: int) -> tuple[list[PlacedGate], Tensor | None, Sequence[Any]]:
    """The gates or the amplitudes of a preparation at the start, and the operations after it."""
    if not operations or not isinstance(operations[0], StatePrepBase):
        return [], None, operations
    preparation, *others = operations
    if preparation.name != "BasisState":
        return [], _amplitudes(preparation, n_qubits), others
    # X gates cost the engine nothing, an amplitude vector does.
    bits = zip(preparation.wires, preparation.data[0], strict=True)
    return [("X", (wire,), ()) for wire, bit in bits if int(bit) == 1], None, others


def _amplitudes(preparation: Any, n_qubits: int) -> Tensor:
    """What is prepared, (2**n,) or (B, 2**n)."""
    state = preparation.state_vector(wire_order=range(n_qubits))
    if hasattr(state, "toarray"):
        state = state.toarray()
    shape = () if preparation.batch_size is None else (preparation.batch_size,)
    tensor = state if isinstance(state, Tensor) else torch.from_numpy(np.array(state))
    return tensor.to(torch.complex128 if tensor.is_complex() else torch.float64).reshape(*shape, 2**n_qubits)


def _refuse_further_axes(operation: Any) -> None:
    for value in operation.data:
        if _ndim(value) > 1:
            raise DeviceError(
                f"{operation.name} was given a parameter of shape {tuple(value.shape)}; "
                "expected a number, or one axis of samples; flatten the batch"
            )


def _ndim(value: Any) -> int:
    return int(value.ndim) if hasattr(value, "ndim") else np.ndim(value)
