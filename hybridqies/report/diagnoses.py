"""Table, notes and curves of a circuit's diagnosis, from its record alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.table import Table

from hybridqies.diagnostics import WIDEST_STATE, fit_decay
from hybridqies.figures import COLOURS, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_GREY = "#718096"

Row = Mapping[str, Any]


def diagnosis_table(record: Mapping[str, Any]) -> Table:
    """One row for each size. What random circuits and states have stands in brackets."""
    title = f"{record['circuit']}, {record['samples']:,} draws of its angles"
    table = Table(title=title, title_justify="left")
    names = record["vary"]
    headings = ("qubits", *names, "depth", "2q", "weights", "cone")
    for name in (*headings, "Var ∂⟨O⟩", "KL to Haar", "Q", "entropy, bits"):
        table.add_column(name, justify="right")
    for row in record["rows"]:
        variance = row["gradient_variance"]
        table.add_row(
            str(row["n_qubits"]),
            *(str(row["options"][name]) for name in names),
            str(row["depth"]),
            str(row["two_qubit_gates"]),
            str(row["n_weights"]),
            "" if row["widest_cone"] is None else str(row["widest_cone"]),
            f"{short(0 if variance is None else variance['value'])} ({short(row['random_variance'])})",
            *(_beside_random(row[name]) for name in ("expressibility", "meyer_wallach", "entropy")),
        )
    return table


def short(value: float) -> str:
    """A number with two digits, and an exponent of as few as it has."""
    digits, exponent = f"{value:.1e}".split("e")
    return f"{digits}e{int(exponent)}"


def _beside_random(mean: Mapping[str, float] | None) -> str:
    # Rounding makes the entropy of a product state a negative number of 17 digits.
    return "" if mean is None else f"{abs(mean['value']):.3f} ({mean['random']:.3f})"


def diagnosis_notes(record: Mapping[str, Any]) -> Iterator[str]:
    """What the numbers say, in words, for each depth; then how to read the columns."""
    for label, rows in series(record):
        moving = [row for row in rows if row["gradient_variance"] is not None]
        about = f"{label}: " if label else ""
        if not moving:
            yield f"{about}no weight moves observable {record['observable']}"
            continue
        decay = fit_decay(
            [row["n_qubits"] for row in moving], [row["gradient_variance"]["value"] for row in moving]
        )
        if decay is not None:
            yield about + decay.verdict
    yield (
        "2q: two-qubit gates. cone: qubits of the widest light cone. "
        f"Var ∂⟨O⟩: mean over the weights that move {record['observable']}. "
        "In brackets: a circuit that is random before and after the weight, and random states."
    )
    if any(row["n_qubits"] > WIDEST_STATE for row in record["rows"]):
        yield f"Over {WIDEST_STATE} qubits only gradients are measured, by light cones."


def draw_diagnosis(record: Mapping[str, Any]) -> Figure:
    """The four measures against qubits, a line for each depth; dotted: random circuits and states."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 7), layout="constrained")
    places = figure.subplots(2, 2).flat
    titles = {
        "gradient_variance": f"variance of the gradient of {record['observable']}",
        "expressibility": "expressibility: KL to Haar (0: random states)",
        "meyer_wallach": "Meyer-Wallach Q",
        "entropy": "entropy of half the qubits, bits",
    }
    for axes, (name, title) in zip(places, titles.items(), strict=True):
        _draw_measure(axes, name, record)
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("qubits")
        axes.grid(alpha=0.25)
        if name in ("gradient_variance", "expressibility"):
            axes.set_yscale("log")
        else:
            axes.set_ylim(bottom=0)
    axes = figure.axes[0]
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
    figure.suptitle(f"{plain(record['circuit'], 40)}: {record['samples']:,} draws of its angles", fontsize=11)
    return figure


def _draw_measure(axes: Axes, name: str, record: Mapping[str, Any]) -> None:
    for at, (label, rows) in enumerate(series(record)):
        measured = [row for row in rows if row[name] is not None]
        axes.errorbar(
            [row["n_qubits"] for row in measured],
            [row[name]["value"] for row in measured],
            yerr=None if name == "expressibility" else [1.96 * row[name]["error"] for row in measured],
            color=COLOURS[at % len(COLOURS)],
            marker=_MARKERS[at % len(_MARKERS)],
            markersize=5,
            capsize=3,
            label=label or "circuit",
        )
    ordered = sorted(record["rows"], key=lambda row: int(row["n_qubits"]))
    sizes = {row["n_qubits"]: row for row in ordered if row[name] is not None}
    randoms = [
        row["random_variance"] if name == "gradient_variance" else row[name]["random"]
        for row in sizes.values()
    ]
    axes.plot(list(sizes), randoms, color=_GREY, linestyle=":", label="random")
    axes.set_xticks(list(sizes))


def series(record: Mapping[str, Any]) -> Iterator[tuple[str, Sequence[Row]]]:
    """The rows of each choice of varied options, by rising qubits, with its name; "" where nothing varies."""

    def label(row: Row) -> str:
        return ", ".join(f"{name} = {row['options'][name]}" for name in record["vary"])

    found: dict[str, list[Row]] = {}
    for row in record["rows"]:
        found.setdefault(label(row), []).append(row)
    for name, rows in found.items():
        yield name, sorted(rows, key=lambda row: int(row["n_qubits"]))
