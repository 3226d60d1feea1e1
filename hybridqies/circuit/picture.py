"""A circuit as a picture: rows of gates, coloured by what their angles are."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hybridqies.circuit.angles import Constant, Feature, Weight, uses
from hybridqies.circuit.circuit import Circuit, Gate, Start
from hybridqies.circuit.draw import (
    MAX_QUBITS,
    angle_label,
    breaks_off,
    first_gates,
    joint_readouts,
    marks,
    pack,
    single_readouts,
    sizes,
)
from hybridqies.errors import InputError
from hybridqies.figures import check_picture, plain, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_GATES = 800

_SIGNS = ("●", "⊕", "×")
_INK, _WIRE, _FONT = "#22303c", "#8a96a3", "DejaVu Sans"
_COLOURS = {Feature: "#bcdcf5", Weight: "#ffd59e", Constant: "#e4e6ea"}
_MEANINGS = {Feature: "feature", Weight: "weight", Constant: "fixed"}

# Inches. _ROW bounds how long the wires of a row get; _HALF is half the height of a box.
_ROW = (14.0, 26.0)
_WIRES, _ROWS, _HALF, _GAP = 0.52, 0.42, 0.19, 0.12
_EDGE, _HEAD, _LEFT, _READ, _NOTE, _MIN_WIDTH = 0.3, 0.75, 0.85, 0.75, 0.24, 6.5
_ASPECT = 1.3
_MAX_HEIGHT = 300.0
_MAX_PIXELS = 30e6
# Agg draws up to 2**16 dots in each direction.
_MAX_SIDE = 60_000
_MAX_READOUTS = 200
_LONGEST_NAME = 60


@dataclass(frozen=True, slots=True)
class _Column:
    gates: tuple[Gate, ...]
    width: float


@dataclass(frozen=True, slots=True)
class _Pen:
    """Draws in inches on `axes`, y growing downwards from the top of the row at `top`."""

    axes: Axes
    top: float

    def y(self, qubit: int) -> float:
        return self.top + _WIRES * qubit

    def line(self, xs: Sequence[float], ys: Sequence[float], colour: str = _INK, **style: Any) -> None:
        self.axes.plot(
            xs, ys, color=colour, solid_capstyle="butt", **{"linewidth": 1.1, "zorder": 1, **style}
        )

    def text(self, x: float, y: float, text: str, size: float, **style: Any) -> None:
        self.axes.text(
            x,
            y,
            text,
            fontsize=size,
            fontfamily=_FONT,
            **{"ha": "center", "va": "center", "color": _INK, **style},
        )


def draw_picture(circuit: Circuit, path: str | Path) -> None:
    """Writes the circuit as a picture to `path`: PNG, SVG or PDF by its suffix, whole or not at all.

    Boxes are coloured by their angles: features, weights, and what is fixed.
    Long circuits continue on further rows; beyond 800 gates or a height of 300 inches the drawing
    breaks off and a line in it says so. A PNG of a large circuit has fewer dots per inch.

    Raises
    ------
    InputError: the suffix is another, or there are more than MAX_QUBITS qubits.
    """
    target = check_picture(path)
    figure = draw_figure(circuit)
    save(figure, target, _dots(*figure.get_size_inches()))


def draw_figure(circuit: Circuit) -> Figure:
    """The circuit as `draw_picture` draws it.

    Raises
    ------
    InputError: there are more than MAX_QUBITS qubits.
    """
    from matplotlib.figure import Figure

    if circuit.n_qubits > MAX_QUBITS:
        raise InputError(
            f"a picture of {circuit.n_qubits} qubits was asked for", expected=f"at most {MAX_QUBITS}"
        )
    row_height = _WIRES * (circuit.n_qubits - 1) + 2 * _HALF + _ROWS
    columns = pack(first_gates(circuit, MAX_GATES))
    rows = _wrap([_Column(tuple(gates), _column_width(gates)) for gates in columns], row_height)
    rows = rows[: max(1, int(_MAX_HEIGHT / row_height))]
    shown = sum(len(column.gates) for row in rows for column in row)
    notes = _notes(circuit, shown)
    longest = max(sum(column.width for column in row) for row in rows)
    width = max(_MIN_WIDTH, 2 * _EDGE + _LEFT + longest + _READ)
    height = 2 * _EDGE + _HEAD + len(rows) * row_height - _ROWS + _NOTE * (len(notes) + 1) * bool(notes)
    figure = Figure(figsize=(width, height), facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    _draw_head(_Pen(axes, 0.0), circuit)
    for at, row in enumerate(rows):
        pen = _Pen(axes, _EDGE + _HEAD + _HALF + at * row_height)
        _draw_row(pen, circuit, row, first=at == 0, last=at == len(rows) - 1)
    for at, note in enumerate(reversed(notes)):
        _Pen(axes, 0.0).text(_EDGE, height - _EDGE - _NOTE * at, note, 9, ha="left", va="bottom")
    return figure


def _dots(width: float, height: float) -> float:
    """Dots per inch: 150, or fewer where the picture would take more memory or pixels than there can be."""
    return min(150.0, math.sqrt(_MAX_PIXELS / (width * height)), _MAX_SIDE / max(width, height))


def _notes(circuit: Circuit, shown: int) -> list[str]:
    hidden = len(circuit.gates) - shown
    notes = [breaks_off(shown, hidden)] if hidden else []
    joint = joint_readouts(circuit)
    if not joint:
        return notes
    wrapped = textwrap.wrap(f"reads {' '.join(joint[:_MAX_READOUTS])}", 80)
    more = len(joint) - _MAX_READOUTS
    return [*notes, *wrapped, *([f"and {more} more"] if more > 0 else [])]


def _column_width(gates: Sequence[Gate]) -> float:
    return _GAP + max(_mark_width(gate, mark) for gate in gates for _, mark in marks(gate))


def _mark_width(gate: Gate, mark: str) -> float:
    if mark in _SIGNS:
        return 0.24
    symbol, angles = _split(gate, mark)
    return max(0.36, 0.105 * len(symbol) + 0.1, 0.078 * len(angles) + 0.1)


def _split(gate: Gate, mark: str) -> tuple[str, str]:
    """The two lines of a box."""
    bare = mark == gate.type.symbol
    return gate.type.symbol, "" if bare else " ".join(angle_label(angle) for angle in gate.angles)


def _wrap(columns: Sequence[_Column], row_height: float) -> list[list[_Column]]:
    """The columns in rows, wider ones the longer the circuit, so that the page doesn't become a strip."""
    total = sum(column.width for column in columns)
    room = min(max(_ROW[0], math.sqrt(total * row_height / _ASPECT)), _ROW[1])
    rows: list[list[_Column]] = [[]]
    used = 0.0
    for column in columns:
        if rows[-1] and used + column.width > room:
            rows.append([])
            used = 0.0
        rows[-1].append(column)
        used += column.width
    return rows


def _draw_head(pen: _Pen, circuit: Circuit) -> None:
    from matplotlib.patches import Rectangle

    pen.text(_EDGE, _EDGE, plain(circuit.name, _LONGEST_NAME), 12, ha="left", weight="bold")
    pen.text(_EDGE, _EDGE + 0.24, sizes(circuit), 8.5, ha="left", color="#55626f")
    x = _EDGE
    boxed = [gate for gate in circuit.gates if any(mark not in _SIGNS for _, mark in marks(gate))]
    present = {kind for gate in boxed for kind in _kinds(gate)}
    for kind in (each for each in _COLOURS if each in present):
        box = Rectangle(
            (x, _EDGE + 0.41), 0.16, 0.14, facecolor=_COLOURS[kind], edgecolor=_INK, linewidth=0.7
        )
        pen.axes.add_patch(box)
        pen.text(x + 0.23, _EDGE + 0.48, _MEANINGS[kind], 8.5, ha="left")
        x += 0.95


def _draw_row(pen: _Pen, circuit: Circuit, row: Sequence[_Column], first: bool, last: bool) -> None:
    start = _EDGE + _LEFT
    end = start + sum(column.width for column in row) + _GAP
    for qubit in range(circuit.n_qubits):
        y = pen.y(qubit)
        pen.line([start - 0.12, end], [y, y], _WIRE, linewidth=0.9, zorder=0)
        pen.text(_EDGE, y, f"q{qubit}", 9, ha="left")
        if not first:
            pen.line([start - 0.3, start - 0.12], [y, y], _WIRE, linewidth=0.9, linestyle=":")
        if not last:
            pen.line([end, end + 0.2], [y, y], _WIRE, linewidth=0.9, linestyle=":")
    if first:
        _draw_start(pen, circuit, start - 0.16)
    x = start
    for column in row:
        for gate in column.gates:
            _draw_gate(pen, gate, x + column.width / 2)
        x += column.width
    if last:
        for qubit, readout in single_readouts(circuit).items():
            pen.text(end + 0.05, pen.y(qubit), readout, 9.5, ha="left", weight="bold")


def _draw_start(pen: _Pen, circuit: Circuit, x: float) -> None:
    if circuit.start is Start.ZERO:
        for qubit in range(circuit.n_qubits):
            pen.text(x, pen.y(qubit), "|0⟩", 9, ha="right")
        return
    top, bottom = pen.y(0) - _HALF, pen.y(circuit.n_qubits - 1) + _HALF
    pen.line([x - 0.02, x + 0.04, x + 0.04, x - 0.02], [top, top, bottom, bottom])
    pen.text(x - 0.03, (top + bottom) / 2, "|ψ⟩", 10, ha="right")


def _draw_gate(pen: _Pen, gate: Gate, x: float) -> None:
    if len(gate.qubits) > 1:
        pen.line([x, x], [pen.y(min(gate.qubits)), pen.y(max(gate.qubits))])
    for qubit, mark in marks(gate):
        _draw_mark(pen, gate, mark, x, pen.y(qubit))


def _draw_mark(pen: _Pen, gate: Gate, mark: str, x: float, y: float) -> None:
    from matplotlib.patches import Circle

    if mark == "●":
        pen.axes.add_patch(Circle((x, y), 0.05, color=_INK, zorder=2))
    elif mark == "⊕":
        pen.axes.add_patch(Circle((x, y), 0.105, facecolor="white", edgecolor=_INK, linewidth=1.1, zorder=2))
        pen.line([x - 0.105, x + 0.105], [y, y], zorder=3)
        pen.line([x, x], [y - 0.105, y + 0.105], zorder=3)
    elif mark == "×":
        for rise in (-0.07, 0.07):
            pen.line([x - 0.07, x + 0.07], [y - rise, y + rise], linewidth=1.4, zorder=3)
    else:
        _draw_box(pen, gate, mark, x, y)


def _draw_box(pen: _Pen, gate: Gate, mark: str, x: float, y: float) -> None:
    from matplotlib.patches import Rectangle

    width = _mark_width(gate, mark)
    left, kinds = x - width / 2, _kinds(gate)
    for at, kind in enumerate(kinds):
        part = Rectangle(
            (left + at * width / len(kinds), y - _HALF),
            width / len(kinds),
            2 * _HALF,
            color=_COLOURS[kind],
            lw=0,
            zorder=2,
        )
        pen.axes.add_patch(part)
    outline = Rectangle(
        (left, y - _HALF), width, 2 * _HALF, fill=False, edgecolor=_INK, linewidth=0.8, zorder=3
    )
    pen.axes.add_patch(outline)
    symbol, angles = _split(gate, mark)
    pen.text(x, y - (0.075 if angles else 0), symbol, 9, zorder=4)
    if angles:
        pen.text(x, y + 0.085, angles, 7, zorder=4)


def _kinds(gate: Gate) -> list[type]:
    """What each angle is made of: a sum shows its features and weights, not its constant."""
    kinds: list[type] = []
    for angle in gate.angles:
        kinds += [kind for kind in (Feature, Weight) if uses(angle, kind)] or [Constant]
    return kinds or [Constant]
