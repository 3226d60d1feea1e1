"""What a circuit is: gates, angles, observables, recipes, drawing and conversion. Nothing here runs one."""

from hybridqies.circuit.angles import Angle, Constant, Feature, Sum, Weight, add, evaluate, feature
from hybridqies.circuit.circuit import Circuit, Gate, PauliString, Start, gate
from hybridqies.circuit.draw import draw_text
from hybridqies.circuit.gate_type import GateType
from hybridqies.circuit.gates import GATES, gate_type
from hybridqies.circuit.lattices import LATTICES, Lattice, load_lattice
from hybridqies.circuit.library import list_circuits, load_circuit, load_recipe
from hybridqies.circuit.orthogonal import orthogonal_gates
from hybridqies.circuit.pennylane import to_pennylane
from hybridqies.circuit.picture import draw_figure, draw_picture
from hybridqies.circuit.qasm import from_openqasm3, to_openqasm3
from hybridqies.circuit.qiskit import from_qiskit, observables_to_qiskit, to_qiskit
from hybridqies.circuit.recipe import Option, Recipe

__all__ = [
    "GATES",
    "LATTICES",
    "Angle",
    "Circuit",
    "Constant",
    "Feature",
    "Gate",
    "GateType",
    "Lattice",
    "Option",
    "PauliString",
    "Recipe",
    "Start",
    "Sum",
    "Weight",
    "add",
    "draw_figure",
    "draw_picture",
    "draw_text",
    "evaluate",
    "feature",
    "from_openqasm3",
    "from_qiskit",
    "gate",
    "gate_type",
    "list_circuits",
    "load_circuit",
    "load_lattice",
    "load_recipe",
    "observables_to_qiskit",
    "orthogonal_gates",
    "to_openqasm3",
    "to_pennylane",
    "to_qiskit",
]
