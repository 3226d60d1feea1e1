"""Circuits to and from Qiskit. Qubit i is Qiskit's qubit i; only vectors and Pauli strings are reversed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from hybridqies.circuit.angles import evaluate
from hybridqies.circuit.circuit import Circuit, Gate, PauliString, Start
from hybridqies.circuit.qiskit_gates import Step, steps_of
from hybridqies.circuit.qiskit_parameters import ParameterRoles, parameters_of, read_angle, roles_by_name
from hybridqies.errors import CircuitError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray
    from qiskit import QuantumCircuit
    from qiskit.quantum_info import SparsePauliOp


def reverse_amplitudes(amplitudes: ArrayLike, n_qubits: int) -> NDArray[Any]:
    """Amplitudes (2**n,) with the bits of every index reversed: from our order to Qiskit's, and back."""
    import numpy as np

    return np.asarray(amplitudes).reshape((2,) * n_qubits).transpose().reshape(-1)


def to_qiskit(
    circuit: Circuit, measured: bool = False, *, amplitudes: ArrayLike | None = None
) -> QuantumCircuit:
    """The circuit as a Qiskit `QuantumCircuit` with parameter vectors `x` (features) and `w` (weights).

    Qubit i is Qiskit's qubit i. A Rot becomes a `U` labelled "Rot", equal up to
    a global phase, which no expectation sees. `measured` appends a measurement
    of every qubit. A circuit that starts from amplitudes needs them here,
    (2**n,) of norm 1 in our order, and begins with a state preparation.

    Raises
    ------
    CircuitError: amplitudes missing, not wanted, of the wrong size or norm.
    """
    from qiskit import QuantumCircuit
    from qiskit.circuit import ParameterVector
    from qiskit.circuit.library import get_standard_gate_name_mapping

    standard = get_standard_gate_name_mapping()
    built = QuantumCircuit(circuit.n_qubits, name=circuit.name)
    vector = checked_amplitudes(circuit, amplitudes)
    if vector is not None:
        built.prepare_state(reverse_amplitudes(vector, circuit.n_qubits), normalize=True)
    features, weights = ParameterVector("x", circuit.n_features), ParameterVector("w", circuit.n_weights)
    for each in circuit.gates:
        theirs = each.type.qiskit
        angles = [evaluate(angle, features.__getitem__, weights.__getitem__) for angle in each.angles]
        if theirs.label is None:
            getattr(built, theirs.name)(*theirs.angles(angles), *each.qubits)
        else:
            kind = standard[theirs.name].base_class
            built.append(kind(*theirs.angles(angles), label=theirs.label), each.qubits)
    if measured:
        built.measure_all()
    return built


def checked_amplitudes(circuit: Circuit, amplitudes: ArrayLike | None) -> NDArray[Any] | None:
    """`amplitudes` as an array, once they are known to be what the start of `circuit` needs."""
    import numpy as np

    if circuit.start is Start.ZERO:
        if amplitudes is not None:
            raise CircuitError(f"circuit {circuit.name!r} starts from |0…0⟩ and was given amplitudes")
        return None
    wanted = f"{circuit.n_amplitudes} amplitudes of norm 1"
    if amplitudes is None:
        raise CircuitError(
            f"circuit {circuit.name!r} starts from amplitudes and was given none",
            expected=wanted,
            todo="pass amplitudes=",
        )
    vector = np.asarray(amplitudes)
    if vector.shape != (circuit.n_amplitudes,):
        raise CircuitError(f"amplitudes of shape {vector.shape} were given", expected=wanted)
    norm = float(np.linalg.norm(vector))
    if not abs(norm - 1) < 1e-6:
        raise CircuitError(f"amplitudes of norm {norm:.6g} were given", expected=wanted, todo="divide by it")
    return vector


def observables_to_qiskit(circuit: Circuit) -> list[SparsePauliOp]:
    """The observables as SparsePauliOp, in order; their letters run from the last qubit to the first."""
    from qiskit.quantum_info import SparsePauliOp

    return [SparsePauliOp(each.letters(circuit.n_qubits)[::-1]) for each in circuit.observables]


def from_qiskit(
    quantum_circuit: QuantumCircuit,
    features: Sequence[str] | None = None,
    observables: Iterable[PauliString] | None = None,
) -> Circuit:
    """A Qiskit circuit as a `Circuit`; ⟨Z⟩ on every qubit unless `observables` says otherwise.

    A parameter is a feature when the name of its vector, or its own name
    without a trailing index (x0, x_0, x[0], and Qiskit's own _x_0_), is in `features`, by default
    "x"; all others are weights, numbered as they first appear, a vector in one piece.
    An angle may be a number, a sum of weights, features and products of features, each times a
    number: (x0 - π)(x1 - π) is one. Gates outside the gate set are expanded by their definitions, a
    `PauliEvolutionGate` by its synthesis, as Qiskit's transpiler does.
    Barriers, identities, final measurements and global phases are left out.

    Raises
    ------
    CircuitError: a gate without definition, a reset, classical control, a
        measurement that is not final, or an angle of another form.
    UnknownNameError: a name in `features` that no parameter has.
    """
    steps = steps_of(quantum_circuit)
    roles = roles_by_name(parameters_of(step.angles for step in steps), features)
    name = quantum_circuit.name or "circuit"
    return assemble(quantum_circuit.num_qubits, steps, roles, observables, name)


def assemble(
    n_qubits: int,
    steps: Iterable[Step],
    roles: ParameterRoles,
    observables: Iterable[PauliString] | None,
    name: str,
) -> Circuit:
    """The circuit of `steps` once the roles of their parameters are known."""
    gates = [
        Gate(step.type, step.qubits, tuple(read_angle(angle, roles.index_of) for angle in step.angles))
        for step in steps
    ]
    if observables is None:
        observables = (PauliString.on("Z", qubit) for qubit in range(n_qubits))
    return Circuit(n_qubits, tuple(gates), tuple(observables), roles.n_features, roles.n_weights, name=name)
