"""The layers a recipe is written in: encode, rotate, entangle, repeat and named blocks of shared weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from hybridqies.circuit.angles import Angle, Constant, Weight, feature
from hybridqies.circuit.circuit import Gate, PauliString
from hybridqies.circuit.expressions import Value, evaluate, whole, whole_numbers
from hybridqies.circuit.gate_type import GateType
from hybridqies.circuit.gates import gate_type
from hybridqies.circuit.lattices import LATTICES, is_lattice, load_lattice
from hybridqies.errors import CircuitError, UnknownNameError

Pair = tuple[int, int]
Names = Mapping[str, Value]
Layer = Mapping[str, Any]

MAX_GATES = 100_000
"""Gates of a circuit that a recipe lays out."""
MAX_STEPS = 100_000
"""Keys of layers that are read, those of repeats and blocks each time, and rounds of repeats."""
MAX_FEATURES = 1_000_000
MAX_OBSERVABLES = 20_000


def _ring(n: int, distance: int) -> list[Pair]:
    return [(qubit, (qubit + distance) % n) for qubit in range(n)]


def _chain(n: int, distance: int) -> list[Pair]:
    return [(qubit, qubit + distance) for qubit in range(n - distance)]


def _brick(n: int, distance: int) -> list[Pair]:
    chain = _chain(n, distance)
    return [pair for parity in (0, 1) for pair in chain if (pair[0] // distance) % 2 == parity]


def _matching(n: int, distance: int) -> list[Pair]:
    return [pair for pair in _chain(n, distance) if (pair[0] // distance) % 2 == 0]


def _all_to_all(n: int, distance: int) -> list[Pair]:
    del distance
    return [(first, second) for first in range(n) for second in range(first + 1, n)]


PATTERNS: dict[str, Callable[[int, int], list[Pair]]] = {
    "ring": _ring,
    "chain": _chain,
    "brick": _brick,
    "matching": _matching,
    "all-to-all": _all_to_all,
}


def pairs_of(layer: Layer, n_qubits: int, names: Names) -> list[Pair]:
    """The qubit pairs of a layer's `pattern`, for each of its `distances` in turn; or a lattice's edges."""
    pattern = str(layer.get("pattern", "ring"))
    pattern = str(names.get(pattern, pattern))
    if is_lattice(pattern):
        return _edges(pattern, layer, n_qubits)
    if pattern not in PATTERNS:
        raise UnknownNameError("entangling pattern or lattice", pattern, PATTERNS.keys() | LATTICES.keys())
    distances = whole_numbers(layer.get("distances", 1), names)
    if n_qubits > 1:
        for distance in distances:
            if not 1 <= distance < n_qubits:
                raise CircuitError(
                    f"an entangling layer has distance {distance} on {n_qubits} qubits",
                    expected=f"1 to {n_qubits - 1}",
                )
        return _pairs(pattern, distances, n_qubits)
    return []


def _edges(name: str, layer: Layer, n_qubits: int) -> list[Pair]:
    """The edges of a lattice that has as many sites as the circuit has qubits."""
    if "distances" in layer:
        raise CircuitError(
            f"a layer on lattice {name!r} has distances", expected="none: the edges of a lattice are its own"
        )
    lattice = load_lattice(name)
    if lattice.n_sites != n_qubits:
        raise CircuitError(
            f"lattice {name!r} has {lattice.n_sites} sites and the circuit {n_qubits} qubits",
            expected=f"{lattice.n_sites} qubits",
        )
    return list(lattice.edges)


def _pairs(pattern: str, distances: list[int], n_qubits: int) -> list[Pair]:
    pairs: list[Pair] = []
    for distance in distances:
        pairs += PATTERNS[pattern](n_qubits, distance)
        if len(pairs) > MAX_GATES:
            raise _too_many("pairs of qubits in a layer", MAX_GATES)
    return pairs


def _cost(layer: Layer) -> int:
    """How many steps reading a layer once counts as: more where its expressions are long or many."""
    values = [item for value in layer.values() for item in (value if isinstance(value, list) else [value])]
    return len(values) + sum(len(value) for value in values if isinstance(value, str)) // 4


def _too_many(what: str, most: int) -> CircuitError:
    return CircuitError(f"a recipe asks for too many {what}", expected=f"at most {most:,}")


class LayerBuilder:
    """Lays out layers one after the other, handing out weights in the order their gates appear."""

    _KINDS = ("encode", "rotate", "entangle", "repeat", "block")
    _KEYS: Mapping[str, frozenset[str]] = {
        "encode": frozenset({"encode", "when", "first", "scale", "pattern", "distances"}),
        "rotate": frozenset({"rotate", "when", "share", "angle", "qubits"}),
        "entangle": frozenset({"entangle", "when", "share", "angle", "pattern", "distances", "then"}),
        "repeat": frozenset({"repeat", "when", "index", "layers"}),
        "block": frozenset({"block", "when"}),
    }

    def __init__(self, n_qubits: int, blocks: Mapping[str, list[dict[str, Any]]]) -> None:
        self.gates: list[Gate] = []
        self._n = n_qubits
        self._blocks = blocks
        self._block_weights: dict[str, tuple[int, int]] = {}
        self._open_blocks: list[str] = []
        self._next_weight = 0
        self._steps = 0

    def _step(self, cost: int = 1) -> None:
        self._steps += cost
        if self._steps > MAX_STEPS:
            raise _too_many("layers, those of repeats and blocks counted each time", MAX_STEPS)

    def _add_gate(self, added: Gate) -> None:
        if len(self.gates) >= MAX_GATES:
            raise _too_many("gates", MAX_GATES)
        self.gates.append(added)

    def add_all(self, layers: Iterable[Layer], names: Names) -> None:
        """Adds each of `layers`; `names` holds the options, `n`, and the indices of enclosing repeats."""
        for layer in layers:
            kind = self._kind(layer)
            self._step(_cost(layer))
            if evaluate(layer.get("when", True), names):
                getattr(self, f"_add_{kind}")(layer, names)

    def _kind(self, layer: Layer) -> str:
        kinds = [kind for kind in self._KINDS if isinstance(layer, Mapping) and kind in layer]
        if len(kinds) != 1:
            raise CircuitError(
                f"recipe layer {layer!r} has {kinds or 'no kind'}",
                expected=f"one of {', '.join(self._KINDS)}",
            )
        for key in layer:
            if key not in self._KEYS[kinds[0]]:
                raise UnknownNameError(f"key in a recipe's {kinds[0]} layer:", key, self._KEYS[kinds[0]])
        return kinds[0]

    def _add_encode(self, layer: Layer, names: Names) -> None:
        first = whole(layer.get("first", 0), names)
        if first > MAX_FEATURES:
            raise _too_many("features", MAX_FEATURES)
        scale = float(evaluate(layer.get("scale", 1.0), names))
        for kind in _gate_types(layer["encode"], names):
            if not kind.angles:
                raise CircuitError(f"an encode layer was given {kind.name}", expected="a gate with an angle")
            for qubits in self._places(kind, layer, names):
                angle = feature(*(first + qubit for qubit in qubits), scale=scale)
                self._add_gate(Gate(kind, qubits, (angle,) * len(kind.angles)))

    def _add_rotate(self, layer: Layer, names: Names) -> None:
        for kind in _gate_types(layer["rotate"], names):
            if kind.n_qubits != 1:
                raise CircuitError(f"a rotate layer was given {kind.name}", expected="a one-qubit gate")
            self._add_each(kind, self._places(kind, layer, names), layer, names)

    def _add_entangle(self, layer: Layer, names: Names) -> None:
        for kind in _gate_types(layer["entangle"], names):
            if kind.n_qubits != 2:
                raise CircuitError(f"an entangle layer was given {kind.name}", expected="a two-qubit gate")
            places = self._places(kind, layer, names)
            if "then" not in layer:
                self._add_each(kind, places, layer, names)
                continue
            for pair in places:
                self._add_each(kind, [pair], layer, names)
                for follower in _gate_types(layer["then"], names):
                    self._add_each(follower, [(pair[1],)], {}, names)

    def _add_repeat(self, layer: Layer, names: Names) -> None:
        index = layer.get("index", "i")
        if "layers" not in layer:
            raise CircuitError("a recipe's repeat layer has no 'layers'", expected="the layers to repeat")
        for step in range(whole(layer["repeat"], names)):
            self._step()
            self.add_all(layer["layers"], {**names, index: step})

    def _add_block(self, layer: Layer, names: Names) -> None:
        name = layer["block"]
        if name not in self._blocks:
            raise UnknownNameError("block in a recipe:", str(name), self._blocks)
        if name in self._open_blocks:
            raise CircuitError(f"block {name!r} contains itself", expected="blocks that end")
        resume = self._next_weight
        first_use = name not in self._block_weights
        self._next_weight = resume if first_use else self._block_weights[name][0]
        start = self._next_weight
        self._open_blocks.append(name)
        self.add_all(self._blocks[name], names)
        self._open_blocks.pop()
        span = (start, self._next_weight)
        if self._block_weights.setdefault(name, span) != span:
            raise CircuitError(f"block {name!r} has another number of weights each time", expected="the same")
        # Inside a block that is laid out again, a nested block stands where it stood: go on behind it.
        if not first_use and start != resume:
            self._next_weight = resume

    def _places(self, kind: GateType, layer: Layer, names: Names) -> list[tuple[int, ...]]:
        if kind.n_qubits == 2:
            return list(pairs_of(layer, self._n, names))
        if "qubits" in layer:
            return [(qubit,) for qubit in whole_numbers(layer["qubits"], names)]
        return [(qubit,) for qubit in range(self._n)]

    def _add_each(self, kind: GateType, places: list[tuple[int, ...]], layer: Layer, names: Names) -> None:
        if "angle" in layer:
            fixed: tuple[Angle, ...] = (Constant(float(evaluate(layer["angle"], names))),) * len(kind.angles)
            for qubits in places:
                self._add_gate(Gate(kind, qubits, fixed))
            return
        shared = self._new_weights(kind) if evaluate(layer.get("share", False), names) else None
        for qubits in places:
            self._add_gate(Gate(kind, qubits, shared if shared is not None else self._new_weights(kind)))

    def _new_weights(self, kind: GateType) -> tuple[Weight, ...]:
        first = self._next_weight
        self._next_weight += len(kind.angles)
        return tuple(Weight(index) for index in range(first, self._next_weight))


def all_observables(rows: Iterable[Mapping[str, Any]], n_qubits: int, names: Names) -> list[PauliString]:
    """The Pauli strings of a recipe's `measure`, in order.

    Raises
    ------
    CircuitError: more than MAX_OBSERVABLES.
    """
    found: list[PauliString] = []
    for row in rows:
        found += observables_of(row, n_qubits, names)
        if len(found) > MAX_OBSERVABLES:
            raise _too_many("observables", MAX_OBSERVABLES)
    return found


def observables_of(row: Mapping[str, Any], n_qubits: int, names: Names) -> list[PauliString]:
    """The Pauli strings that one entry of a recipe's `measure` asks for.

    One letter reads the first `qubits` qubits (all by default); two letters read
    the pairs of a `pattern`, as in {pauli = "ZZ", pattern = "chain"}.
    """
    keys = {"pauli", "qubits", "pattern", "distances"}
    for key in row:
        if key not in keys:
            raise UnknownNameError("key in a recipe's measure:", key, keys)
    letters = str(row.get("pauli", "Z"))
    if len(letters) == 1:
        count = whole(row.get("qubits", "n"), names)
        if not 1 <= count <= n_qubits:
            raise CircuitError(f"{count} qubits are to be read of {n_qubits}", expected=f"1 to {n_qubits}")
        return [PauliString.on(letters, qubit) for qubit in range(count)]
    if len(letters) == 2:
        pairs = pairs_of(row, n_qubits, names)
        return [PauliString(tuple(sorted(zip(pair, letters, strict=True)))) for pair in pairs]
    raise CircuitError(f"a recipe measures {letters!r}", expected="one or two Pauli letters")


def _gate_types(given: str | list[str], names: Names) -> list[GateType]:
    listed = [given] if isinstance(given, str) else given
    return [gate_type(str(names.get(name, name))) for name in listed]
