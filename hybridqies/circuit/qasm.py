"""Circuits to and from OpenQASM 3. A comment line keeps what the language has no words for."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import io
import json
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from hybridqies.circuit.angles import Angle, Constant, Feature, Term, Weight, terms
from hybridqies.circuit.circuit import Circuit, Gate, PauliString, Start
from hybridqies.circuit.gate_type import GateType, Own
from hybridqies.circuit.gates import GATES
from hybridqies.circuit.layers import MAX_FEATURES, MAX_OBSERVABLES
from hybridqies.circuit.qasm_limits import MAX_QUBITS, check_program, check_text
from hybridqies.circuit.qiskit import assemble, checked_amplitudes, from_qiskit, to_qiskit
from hybridqies.circuit.qiskit_gates import steps_of
from hybridqies.circuit.qiskit_parameters import ParameterRoles, split_name
from hybridqies.errors import CircuitError, HybridqiesError, MissingExtraError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from qiskit import QuantumCircuit
    from qiskit.circuit import Parameter

_MARK = "// hybridqies: "
_INPUT = re.compile(r"[xw]\d+")


def to_openqasm3(circuit: Circuit, *, amplitudes: ArrayLike | None = None) -> str:
    """The circuit as an OpenQASM 3 program with inputs x0, x1, … (features) and w0, w1, … (weights).

    Its name, counts and observables stand in a comment line that
    `from_openqasm3` reads back. The language cannot start from a vector: a
    circuit that does needs `amplitudes` here, (2**n,) of norm 1, and begins
    with gates that prepare them.

    Raises
    ------
    CircuitError: amplitudes missing, not wanted, of the wrong size or norm.
    """
    circuit = _prepared(circuit, amplitudes)
    kinds = {each.type.name for each in circuit.gates}
    defined = [row for row in GATES.values() if row.definition and row.name in kinds]
    lines = [
        "OPENQASM 3.0;",
        'include "stdgates.inc";',
        _MARK + json.dumps(_header(circuit)),
    ]
    lines += map(_definition, defined)
    lines += [f"input float[64] x{index};" for index in range(circuit.n_features)]
    lines += [f"input float[64] w{index};" for index in range(circuit.n_weights)]
    lines.append(f"qubit[{circuit.n_qubits}] q;")
    lines += [_gate_line(each) for each in circuit.gates]
    return "\n".join(lines) + "\n"


def from_openqasm3(
    text: str,
    observables: Iterable[PauliString] | None = None,
    features: Sequence[str] | None = None,
) -> Circuit:
    """The circuit of an OpenQASM 3 program.

    A program of ours gives back the circuit it was written from. In any other,
    inputs become features and weights, and gates are expanded, as in
    `from_qiskit`; ⟨Z⟩ on every qubit is read unless `observables` says otherwise.

    Raises
    ------
    MissingExtraError: qiskit-qasm3-import is not installed.
    CircuitError: the program is of another version, cannot be parsed, or holds what a circuit can't.
    """
    if not isinstance(text, str) or not text.strip():
        what = "an empty text" if isinstance(text, str) else type(text).__name__
        raise CircuitError(f"{what} was given as an OpenQASM 3 program", expected="its text")
    try:
        return _read(text, observables, features)
    except HybridqiesError:
        raise
    # Parser, importer and Qiskit refuse programs with a dozen kinds of exception, some of them by accident.
    except Exception as error:
        raise CircuitError(
            f"the OpenQASM 3 program cannot be read: {type(error).__name__}: {error}"
        ) from error


def _read(text: str, observables: Iterable[PauliString] | None, features: Sequence[str] | None) -> Circuit:
    loaded = _load(text)
    header = _read_header(text)
    if header is None:
        return dataclasses.replace(from_qiskit(loaded, features, observables), name="openqasm3")
    if observables is None:
        observables = [PauliString.parse(letters) for letters in header["observables"]]
    roles = ParameterRoles(_own_role, header["n_features"], header["n_weights"])
    return assemble(loaded.num_qubits, steps_of(loaded), roles, observables, header["name"])


def _prepared(circuit: Circuit, amplitudes: ArrayLike | None) -> Circuit:
    if checked_amplitudes(circuit, amplitudes) is None:
        return circuit
    bare = dataclasses.replace(circuit, gates=())
    preparation = from_qiskit(to_qiskit(bare, amplitudes=amplitudes))
    return dataclasses.replace(circuit, gates=preparation.gates + circuit.gates, start=Start.ZERO)


def _header(circuit: Circuit) -> dict[str, Any]:
    return {
        "name": circuit.name,
        "n_features": circuit.n_features,
        "n_weights": circuit.n_weights,
        "observables": [each.letters(circuit.n_qubits) for each in circuit.observables],
    }


def _definition(row: GateType) -> str:
    """The gate's definition as a line of OpenQASM.

    The names of its angles rise, because Qiskit's importer (0.6) hands a defined gate its angles
    in the order of their sorted names.
    """
    rise = list(row.angles) == sorted(row.angles) and not row.qasm.order
    names = row.angles if rise else row.qasm.own_angles([f"t{at}" for at in range(len(row.angles))])
    qubits = [*"ab"][: row.n_qubits] if row.n_qubits > 1 else ["q"]
    body = [
        _call(
            GATES[part.name],
            [names[angle.index] if isinstance(angle, Own) else repr(angle) for angle in part.angles],
            [qubits[place] for place in part.places],
        )
        for part in row.definition
    ]
    return f"gate {_call(row, names, qubits)[:-1]} {{ {' '.join(body)} }}"


def _gate_line(each: Gate) -> str:
    return _call(each.type, [_angle_text(angle) for angle in each.angles], [f"q[{at}]" for at in each.qubits])


def _call(row: GateType, angles: Sequence[str], qubits: Sequence[str]) -> str:
    inside = f"({', '.join(row.qasm.angles(angles))})" if angles else ""
    return f"{row.qasm.name}{inside} {', '.join(qubits)};"


def _angle_text(angle: Angle) -> str:
    first, *others = map(_term_text, terms(angle))
    return first + "".join(f" - {each[1:]}" if each.startswith("-") else f" + {each}" for each in others)


def _term_text(term: Term) -> str:
    match term:
        case Constant(value):
            return repr(value)
        case Weight(index, scale):
            return _product_text(scale, [f"w{index}"])
        case Feature(indices, scale):
            return _product_text(scale, [f"x{index}" for index in indices])


def _product_text(scale: float, factors: list[str]) -> str:
    return "*".join(factors if scale == 1.0 else [repr(scale), *factors])


def _load(text: str) -> QuantumCircuit:
    if importlib.util.find_spec("qiskit_qasm3_import") is None:
        raise MissingExtraError("reading OpenQASM 3", "qasm")
    import openqasm3
    import qiskit_qasm3_import
    from openqasm3.parser import QASM3ParsingError

    check_text(text)
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            program = openqasm3.parse(text)
        if program.version and program.version.partition(".")[0] != "3":
            raise CircuitError(
                f"the program is in OpenQASM {program.version}",
                expected="OpenQASM 3",
                todo="convert it, for one with Qiskit",
            )
        check_program(program)
        _sort_gate_angles(program)
        return qiskit_qasm3_import.convert(program)
    except (QASM3ParsingError, qiskit_qasm3_import.ConversionError) as error:
        why = f"{error} {said.getvalue()}".strip() or "it breaks off or is malformed"
        raise CircuitError(f"the OpenQASM 3 program cannot be read: {why}") from error


def _sort_gate_angles(program: Any) -> None:
    """Renames the angles of every gate definition so that the order of their names is the declared one."""
    from openqasm3 import ast
    from openqasm3.visitor import QASMVisitor

    class Renamer(QASMVisitor[None]):
        def visit_Identifier(self, node: ast.Identifier) -> None:  # noqa: N802
            node.name = names.get(node.name, node.name)

    for statement in program.statements:
        if isinstance(statement, ast.QuantumGateDefinition):
            names = {each.name: f"angle_{at:04}" for at, each in enumerate(statement.arguments)}
            for part in (*statement.arguments, *statement.body):
                Renamer().visit(part)


def _read_header(text: str) -> dict[str, Any] | None:
    line = next((line for line in text.split("\n") if line.startswith(_MARK)), None)
    if line is None:
        return None
    try:
        header = json.loads(line.removeprefix(_MARK))
        known: dict[str, Any] = {
            "name": str(header["name"]),
            "n_features": int(header["n_features"]),
            "n_weights": int(header["n_weights"]),
            "observables": [str(letters) for letters in header["observables"]],
        }
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise CircuitError(
            f"the line {line[:200]!r} of the OpenQASM 3 program cannot be read: {error!r}",
            todo="restore it, or delete it to read the program as any other",
        ) from None
    for what, count, most in (
        ("features", known["n_features"], MAX_FEATURES),
        ("weights", known["n_weights"], MAX_FEATURES),
        ("observables", len(known["observables"]), MAX_OBSERVABLES),
        ("letters in an observable", max(map(len, known["observables"]), default=0), MAX_QUBITS),
    ):
        if count > most:
            raise CircuitError(f"the OpenQASM 3 program has {count:,} {what}", expected=f"at most {most:,}")
    return known


def _own_role(parameter: Parameter) -> tuple[type[Feature] | type[Weight], int]:
    stem, index = split_name(parameter.name)
    if not _INPUT.fullmatch(parameter.name) or index is None:
        raise CircuitError(
            f"input {parameter.name!r} of an OpenQASM 3 program of ours is no feature and no weight",
            expected="x0, x1, … and w0, w1, …",
            todo="or delete the line that begins with // hybridqies:",
        )
    return (Feature if stem == "x" else Weight), index
