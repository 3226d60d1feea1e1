"""Circuits to and from Qiskit. Everything about Qiskit's reversed qubit order is settled in this file."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hybridqies.circuit.circuit import Angle, Circuit, Constant, Feature, Gate, PauliString, Start, Weight
from hybridqies.circuit.gates import GATES, GateType
from hybridqies.errors import CircuitError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray
    from qiskit import QuantumCircuit
    from qiskit.circuit import Instruction, Parameter
    from qiskit.quantum_info import SparsePauliOp

QISKIT_NAMES = {
    "H": "h",
    "X": "x",
    "Y": "y",
    "Z": "z",
    "S": "s",
    "SDG": "sdg",
    "T": "t",
    "TDG": "tdg",
    "SX": "sx",
    "SXDG": "sxdg",
    "RX": "rx",
    "RY": "ry",
    "RZ": "rz",
    "P": "p",
    "U": "u",
    "CNOT": "cx",
    "CY": "cy",
    "CZ": "cz",
    "SWAP": "swap",
    "CRX": "crx",
    "CRY": "cry",
    "CRZ": "crz",
    "RXX": "rxx",
    "RYY": "ryy",
    "RZZ": "rzz",
}
_GATE_OF_NAME = {name: GATES[gate] for gate, name in QISKIT_NAMES.items()} | {"rot": GATES["ROT"]}
_ROT_LABEL = "Rot"
_IGNORED = ("barrier", "id", "global_phase")

Indexed = Callable[["Parameter"], tuple[type[Feature] | type[Weight], int]]


@dataclass(frozen=True, slots=True)
class ParameterRoles:
    """Which parameter of a Qiskit circuit is which feature or weight, and how many of each there are."""

    index_of: Indexed
    n_features: int
    n_weights: int


@dataclass(frozen=True, slots=True)
class _Step:
    """One gate of ours whose angles are still numbers or Qiskit expressions."""

    type: GateType
    qubits: tuple[int, ...]
    angles: tuple[Any, ...]


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
    from qiskit.circuit.library import UGate

    built = QuantumCircuit(circuit.n_qubits, name=circuit.name)
    vector = checked_amplitudes(circuit, amplitudes)
    if vector is not None:
        built.prepare_state(reverse_amplitudes(vector, circuit.n_qubits), normalize=True)
    features, weights = ParameterVector("x", circuit.n_features), ParameterVector("w", circuit.n_weights)
    for each in circuit.gates:
        angles = [_to_expression(angle, features, weights) for angle in each.angles]
        if each.type.name == "ROT":
            phi, theta, omega = angles
            built.append(UGate(theta, omega, phi, label=_ROT_LABEL), each.qubits)
        else:
            getattr(built, QISKIT_NAMES[each.type.name])(*angles, *each.qubits)
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
    features: Sequence[str] = ("x",),
    observables: Iterable[PauliString] | None = None,
) -> Circuit:
    """A Qiskit circuit as a `Circuit`; ⟨Z⟩ on every qubit unless `observables` says otherwise.

    A parameter is a feature when the name of its vector, or its own name
    without a trailing index (x0, x_0, x[0]), is in `features`; all others are
    weights, numbered as they first appear, a vector in one piece. An angle may
    be a number, a parameter times a number, or a product of features times a
    number. Gates outside the gate set are expanded by their Qiskit definitions.
    Barriers, identities, final measurements and global phases are left out.

    Raises
    ------
    CircuitError: a gate without definition, a reset, classical control, a
        measurement that is not final, or an angle of another form.
    """
    steps = list(_flattened(quantum_circuit))
    roles = _roles_by_name(_parameters_of(steps), tuple(features))
    name = quantum_circuit.name or "circuit"
    return assemble(quantum_circuit.num_qubits, steps, roles, observables, name)


def steps_of(quantum_circuit: QuantumCircuit) -> list[_Step]:
    """The gates of a Qiskit circuit in terms of ours, for `assemble`."""
    return list(_flattened(quantum_circuit))


def assemble(
    n_qubits: int,
    steps: Iterable[_Step],
    roles: ParameterRoles,
    observables: Iterable[PauliString] | None,
    name: str,
) -> Circuit:
    """The circuit of `steps` once the roles of their parameters are known."""
    gates = [
        Gate(step.type, step.qubits, tuple(_from_expression(angle, roles.index_of) for angle in step.angles))
        for step in steps
    ]
    if observables is None:
        observables = (PauliString.on("Z", qubit) for qubit in range(n_qubits))
    return Circuit(n_qubits, tuple(gates), tuple(observables), roles.n_features, roles.n_weights, name=name)


def _to_expression(angle: Angle, features: Any, weights: Any) -> Any:
    match angle:
        case Constant(value):
            return value
        case Weight(index, scale):
            return _scaled(scale, weights[index])
        case Feature(indices, scale):
            return _scaled(scale, math.prod((features[i] for i in indices[1:]), start=features[indices[0]]))


def _scaled(scale: float, expression: Any) -> Any:
    return expression if scale == 1.0 else scale * expression


def _flattened(quantum_circuit: QuantumCircuit) -> Iterator[_Step]:
    measured: set[int] = set()
    places = {qubit: at for at, qubit in enumerate(quantum_circuit.qubits)}
    for row in quantum_circuit.data:
        name, qubits = row.operation.name, tuple(places[qubit] for qubit in row.qubits)
        if name in _IGNORED:
            continue
        for qubit in qubits:
            if qubit in measured:
                raise CircuitError(
                    f"qubit {qubit} is measured before the end", expected="final measurements only"
                )
        if name == "measure":
            measured.update(qubits)
        else:
            yield from _expanded(row.operation, qubits)


def _expanded(operation: Instruction, qubits: tuple[int, ...]) -> Iterator[_Step]:
    known = _recognised(operation, qubits)
    if known is not None:
        yield known
        return
    definition = getattr(operation, "definition", None)
    if definition is None or operation.name == "measure":
        raise CircuitError(
            f"Qiskit instruction {operation.name!r} has no counterpart here",
            expected="unitary gates that are in the gate set or defined by such",
        )
    places = {qubit: qubits[at] for at, qubit in enumerate(definition.qubits)}
    for row in definition.data:
        if row.operation.name not in _IGNORED:
            yield from _expanded(row.operation, tuple(places[qubit] for qubit in row.qubits))


def _recognised(operation: Instruction, qubits: tuple[int, ...]) -> _Step | None:
    kind = _GATE_OF_NAME.get(operation.name)
    if kind is None or len(qubits) != kind.n_qubits or len(operation.params) != len(kind.angles):
        return None
    if _is_standard(operation, kind):
        if operation.label == _ROT_LABEL and kind.name == "U":
            theta, omega, phi = operation.params
            return _Step(GATES["ROT"], qubits, (phi, theta, omega))
        return _Step(kind, qubits, tuple(operation.params))
    return _Step(kind, qubits, tuple(operation.params)) if _is_same(operation, kind) else None


def _is_standard(operation: Instruction, kind: GateType) -> bool:
    from qiskit.circuit.library import get_standard_gate_name_mapping

    standard = get_standard_gate_name_mapping().get(QISKIT_NAMES.get(kind.name, ""))
    return standard is not None and isinstance(operation, standard.base_class)


def _is_same(operation: Instruction, kind: GateType) -> bool:
    """Whether a gate that somebody defined under the name of one of ours also does what ours does."""
    from qiskit import QuantumCircuit
    from qiskit.exceptions import QiskitError
    from qiskit.quantum_info import Operator

    theirs = QuantumCircuit(kind.n_qubits)
    theirs.append(operation, range(kind.n_qubits))
    values = {each: 0.7 + 0.31 * at for at, each in enumerate(theirs.parameters)}
    angles = tuple(Constant(_number(_bound(each, values))) for each in operation.params)
    ours = Circuit.of(kind.n_qubits, [Gate(kind, tuple(range(kind.n_qubits)), angles)])
    try:
        same: bool = Operator(theirs.assign_parameters(values)).equiv(Operator(to_qiskit(ours)))
    except QiskitError:
        return False
    return same


def _parameters_of(steps: Iterable[_Step]) -> list[Parameter]:
    """Every parameter once, in the order of first appearance; those of one expression by name."""
    found: dict[Parameter, None] = {}
    for step in steps:
        for angle in step.angles:
            found.update(dict.fromkeys(sorted(getattr(angle, "parameters", ()), key=_natural)))
    return list(found)


def _natural(parameter: Parameter) -> tuple[str, int]:
    stem, index = split_name(parameter.name)
    return stem, -1 if index is None else index


def split_name(name: str) -> tuple[str, int | None]:
    """A parameter's name without its trailing index, and that index: x0, x_0, x_0_ and x[0] are ("x", 0)."""
    stem = name.rstrip("]_")
    digits = stem[len(stem.rstrip("0123456789")) :]
    if not digits:
        return name, None
    return stem[: -len(digits)].rstrip("[_"), int(digits)


def _roles_by_name(parameters: list[Parameter], features: tuple[str, ...]) -> ParameterRoles:
    sizes = dict.fromkeys(features, 0)
    taken: dict[tuple[str, int], Parameter] = {}
    weights: dict[Parameter, int] = {}
    vectors: dict[str, int] = {}
    n_weights = 0
    where: dict[Parameter, tuple[str, int]] = {}
    for each in parameters:
        vector = getattr(each, "vector", None)
        stem, index = (vector.name, each.index) if vector is not None else split_name(each.name)
        if each.name in sizes:
            stem, index = each.name, None
        if stem in sizes:
            place = (stem, index or 0)
            if taken.setdefault(place, each) != each:
                raise CircuitError(f"parameters {taken[place].name!r} and {each.name!r} are one feature")
            where[each] = place
            sizes[stem] = max(sizes[stem], place[1] + 1, len(vector) if vector is not None else 0)
        elif vector is None:
            weights[each] = n_weights
            n_weights += 1
        else:
            if stem not in vectors:
                vectors[stem] = n_weights
                n_weights += len(vector)
            weights[each] = vectors[stem] + each.index
    starts = {stem: sum(sizes[before] for before in features[:at]) for at, stem in enumerate(features)}

    def index_of(parameter: Parameter) -> tuple[type[Feature] | type[Weight], int]:
        if parameter in weights:
            return Weight, weights[parameter]
        stem, index = where[parameter]
        return Feature, starts[stem] + index

    return ParameterRoles(index_of, sum(sizes.values()), n_weights)


def _from_expression(angle: Any, index_of: Indexed) -> Angle:
    if not getattr(angle, "parameters", ()):
        return Constant(_number(angle))
    scale, factors = _monomial(angle)
    roles = [index_of(factor) for factor in factors]
    if all(role is Feature for role, _ in roles):
        return Feature(tuple(index for _, index in roles), scale)
    if len(roles) == 1:
        return Weight(roles[0][1], scale)
    raise _unsupported(angle)


def _monomial(expression: Any) -> tuple[float, list[Parameter]]:
    """The number and the parameters (repeated as often as they multiply) that `expression` is the product of.

    Read off from values, because the text and the classes of Qiskit's
    expressions change between versions: the number is the value at 1, an
    exponent shows when one parameter is 2, and further points, at which each
    parameter is negative once, verify.
    """
    parameters = sorted(expression.parameters, key=_natural)

    def value(points: Sequence[float]) -> float:
        return _number(_bound(expression, dict(zip(parameters, points, strict=True))))

    try:
        scale = value([1.0] * len(parameters))
        ratios = [value([2.0 if q is p else 1.0 for q in parameters]) / scale for p in parameters]
        powers = [round(math.log2(ratio)) for ratio in ratios]
        for flipped in range(-1, len(parameters)):
            points = [(0.6 + 0.17 * at) * (-1 if at == flipped else 1) for at in range(len(parameters))]
            expected = scale * math.prod(point**power for point, power in zip(points, powers, strict=True))
            if min(powers) < 1 or not math.isclose(value(points), expected, rel_tol=1e-9):
                raise _unsupported(expression)
    except (ValueError, ZeroDivisionError):
        raise _unsupported(expression) from None
    return scale, [p for p, power in zip(parameters, powers, strict=True) for _ in range(power)]


def _bound(expression: Any, values: dict[Any, float]) -> Any:
    known = getattr(expression, "parameters", ())
    return expression.bind({each: values[each] for each in known}) if known else expression


def _number(value: Any) -> float:
    plain = value.numeric() if hasattr(value, "numeric") else value
    if isinstance(plain, complex) or not math.isfinite(plain):
        raise CircuitError(f"angle {plain} was given", expected="a real number")
    return float(plain)


def _unsupported(expression: Any) -> CircuitError:
    return CircuitError(
        f"angle {expression} cannot be used",
        expected="a number, a parameter times a number, or a product of features times a number",
    )
