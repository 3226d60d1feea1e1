"""A circuit as text: box-drawing characters, wrapped. `picture.py` draws the same columns in colour."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from hybridqies.circuit.angles import Angle, Constant, Feature, Term, Weight, terms
from hybridqies.circuit.circuit import Circuit, Gate, Start
from hybridqies.errors import InputError

MIN_WIDTH = 40
MAX_QUBITS = 2000
MAX_GATES = 10_000
MAX_CHARACTERS = 4_000_000

_SUPERSCRIPT = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
_DENOMINATORS = (1, 2, 3, 4, 6, 8)


def angle_label(angle: Angle) -> str:
    """An angle in short: x0, -w3, 2·x0·x1, x0², π/2, 0.3."""
    first, *others = map(_term_label, terms(angle))
    return first + "".join(each if each.startswith("-") else f"+{each}" for each in others)


def _term_label(term: Term) -> str:
    match term:
        case Constant(value):
            return _number(value)
        case Weight(index, scale):
            return _scaled(scale, f"w{index}")
        case Feature(indices, scale):
            counts = {index: indices.count(index) for index in indices}
            return _scaled(scale, "·".join(f"x{i}{_power(count)}" for i, count in counts.items()))


def gate_label(gate: Gate) -> str:
    """A gate's symbol with its angles, as in Rot(w0,w1,w2)."""
    if not gate.angles:
        return gate.type.symbol
    return f"{gate.type.symbol}({','.join(angle_label(angle) for angle in gate.angles)})"


def draw_text(circuit: Circuit, width: int = 100) -> str:
    """The circuit as lines of box-drawing characters, wrapped at `width` columns.

    Gates move as far left as they fit. A drawing of more than MAX_GATES gates or MAX_CHARACTERS
    characters breaks off, and its last line says so. ● is a control, ⊕ the target of a CNOT,
    × a swapped qubit. |ψ⟩ across all wires is a start from amplitudes.
    Single-qubit observables stand at the end of their wire, others below.

    Raises
    ------
    InputError: `width` is under 40, or there are more than MAX_QUBITS qubits.
    """
    if width < MIN_WIDTH:
        raise InputError(f"a drawing {width} columns wide was asked for", expected=f"at least {MIN_WIDTH}")
    if circuit.n_qubits > MAX_QUBITS:
        raise InputError(
            f"a drawing of {circuit.n_qubits} qubits was asked for", expected=f"at most {MAX_QUBITS}"
        )
    left = _labels(circuit)
    drawn = list(_text_blocks(first_gates(circuit, MAX_GATES)))
    shown = sum(count for _, count in drawn)
    hidden = len(circuit.gates) - shown
    blocks = [block for block, _ in drawn]
    if not hidden:
        blocks.append(_text_readout(circuit))
    banks = _text_banks(blocks, width - len(left[0]) - 1)
    lines = textwrap.wrap(summary(circuit), width, subsequent_indent="  ")
    for at, bank in enumerate(banks):
        first, last = at == 0, at == len(banks) - 1
        lines += ["", *_text_rows(left if first else _continued(left), bank, last)]
    if hidden:
        return "\n".join([*lines, "", breaks_off(shown, hidden)]) + "\n"
    return "\n".join([*lines, *_text_joint(circuit, width)]) + "\n"


def first_gates(circuit: Circuit, count: int) -> Circuit:
    """The circuit up to its first `count` gates."""
    return circuit if len(circuit.gates) <= count else replace(circuit, gates=circuit.gates[:count])


def breaks_off(shown: int, hidden: int) -> str:
    """The line under a drawing that does not hold everything."""
    return f"Breaks off: {shown} gates are drawn, {hidden} more are not."


def _text_blocks(circuit: Circuit) -> Iterator[tuple[list[str], int]]:
    """The columns, each with how many gates it has, until there are MAX_CHARACTERS of them."""
    size = 0
    for column in pack(circuit):
        block = _text_column(circuit.n_qubits, column)
        size += len(block) * len(block[0])
        if size > MAX_CHARACTERS:
            return
        yield block, len(column)


def summary(circuit: Circuit) -> str:
    """One line of what the circuit is: its name, sizes, gates and depth."""
    return f"{circuit.name}: {sizes(circuit)}"


def sizes(circuit: Circuit) -> str:
    """How many qubits, gates, features and weights there are, and the depth."""
    counts = (
        (circuit.n_qubits, "qubit"),
        (len(circuit.gates), "gate"),
        (circuit.two_qubit_gates(), "two-qubit gate"),
        (circuit.n_features, "feature"),
        (circuit.n_weights, "weight"),
    )
    parts = [f"{count} {what}{'' if count == 1 else 's'}" for count, what in counts]
    return f"{', '.join(parts)}, depth {circuit.depth()}"


def pack(circuit: Circuit) -> list[list[Gate]]:
    """The gates in columns, each gate as far left as the wires that it crosses allow."""
    level = [0] * circuit.n_qubits
    columns: list[list[Gate]] = []
    for each in circuit.gates:
        crossed = range(min(each.qubits), max(each.qubits) + 1)
        at = max(level[qubit] for qubit in crossed)
        if at == len(columns):
            columns.append([])
        columns[at].append(each)
        for qubit in crossed:
            level[qubit] = at + 1
    return columns


def _number(value: float) -> str:
    for denominator in _DENOMINATORS:
        times = value / math.pi * denominator
        if times and abs(times) < 100 and math.isclose(times, round(times), rel_tol=1e-12):
            sign, size = "-" if times < 0 else "", abs(round(times))
            return f"{sign}{'' if size == 1 else size}π{'' if denominator == 1 else f'/{denominator}'}"
    return f"{value:.3g}"


def _scaled(scale: float, what: str) -> str:
    if abs(scale) == 1.0:
        return what if scale > 0 else f"-{what}"
    return f"{_number(scale)}·{what}"


def _power(count: int) -> str:
    return "" if count == 1 else str(count).translate(_SUPERSCRIPT)


def marks(gate: Gate) -> Iterator[tuple[int, str]]:
    """What stands on each qubit of a gate: "●", "⊕", "×", or the text of a box.

    Of several boxes the topmost has the angles.
    """
    signs = gate.type.marks or ("●",) * gate.type.controlled + ("",) * gate.type.n_qubits
    placed = dict(zip(gate.qubits, signs, strict=False))
    top = min((qubit for qubit, sign in placed.items() if not sign), default=None)
    for qubit, sign in sorted(placed.items()):
        yield qubit, sign or (gate_label(gate) if qubit == top else gate.type.symbol)


def single_readouts(circuit: Circuit) -> dict[int, str]:
    """What is read from single qubits, by qubit: ⟨Z⟩, or ⟨Z⟩⟨X⟩ for two observables."""
    readouts: dict[int, str] = {}
    for each in circuit.observables:
        if len(each.factors) == 1:
            qubit, letter = each.factors[0]
            readouts[qubit] = readouts.get(qubit, "") + f"⟨{letter}⟩"
    return readouts


def joint_readouts(circuit: Circuit) -> list[str]:
    """The observables that are read from several qubits, or from none, as ⟨Z0Z1⟩."""
    return [f"⟨{each}⟩" for each in circuit.observables if len(each.factors) != 1]


def _labels(circuit: Circuit) -> list[str]:
    """The left edge of every line: wires at even places, what lies between them at odd ones."""
    names = [f"q{qubit}" for qubit in range(circuit.n_qubits)]
    room = max(map(len, names))
    if circuit.start is Start.ZERO:
        wires, between = [f"{name:<{room}} |0⟩" for name in names], " " * (room + 4)
    elif circuit.n_qubits == 1:
        wires, between = [f"{names[0]} |ψ⟩"], ""
    else:
        joints = "┬" + "├" * (circuit.n_qubits - 2) + "└"
        starts = ["|ψ⟩"] + ["   "] * (circuit.n_qubits - 1)
        wires = [
            f"{name:<{room}} {start}{joint}" for name, start, joint in zip(names, starts, joints, strict=True)
        ]
        between = " " * (room + 4) + "│"
    return [line for wire in wires for line in (wire, between)][:-1]


def _continued(left: Sequence[str]) -> list[str]:
    name = left[0].index("|")
    dots = "┄" * (len(left[0]) - name)
    return [line[:name] + (" " * len(dots) if at % 2 else dots) for at, line in enumerate(left)]


def _text_column(n_qubits: int, gates: Iterable[Gate]) -> list[str]:
    cells = ["" for _ in range(2 * n_qubits - 1)]
    links: set[int] = set()
    for each in gates:
        for qubit, mark in marks(each):
            cells[2 * qubit] = mark if mark in "●⊕×" else f"┤{mark}├"
        links.update(range(2 * min(each.qubits) + 1, 2 * max(each.qubits)))
    width = max(map(len, cells))
    return [_text_cell(cell, at in links, at % 2 == 0, width) for at, cell in enumerate(cells)]


def _text_cell(cell: str, linked: bool, wire: bool, width: int) -> str:
    if not cell and linked:
        cell = "┼" if wire else "│"
    fill = "─" if wire else " "
    before = (width - len(cell)) // 2
    return fill * (before + 1) + cell + fill * (width - before - len(cell))


def _text_readout(circuit: Circuit) -> list[str]:
    readouts = single_readouts(circuit)
    cells = [f"─{readouts.get(qubit, '')}" for qubit in range(circuit.n_qubits)]
    width = max(map(len, cells))
    lines = [line for cell in cells for line in (f"{cell:<{width}}", " " * width)]
    return lines[:-1]


def _text_banks(blocks: Iterable[list[str]], room: int) -> list[list[list[str]]]:
    banks: list[list[list[str]]] = [[]]
    used = 0
    for block in blocks:
        if banks[-1] and used + len(block[0]) > room:
            banks.append([])
            used = 0
        banks[-1].append(block)
        used += len(block[0])
    return banks


def _text_rows(left: Sequence[str], bank: Sequence[list[str]], last: bool) -> Iterator[str]:
    for at, edge in enumerate(left):
        line = edge + "".join(block[at] for block in bank)
        yield (line if last or at % 2 else line + "┄").rstrip()


def _text_joint(circuit: Circuit, width: int) -> list[str]:
    joint = joint_readouts(circuit)
    if not joint:
        return []
    return ["", *textwrap.wrap("reads " + " ".join(joint), width, subsequent_indent="      ")]
