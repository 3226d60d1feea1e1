"""Table, notes and picture of what a circuit costs, from its record alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from rich.table import Table

from hybridqies.figures import COLOURS, plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PREFIXES = ("", "k", "M", "G", "T", "P", "E", "Z", "Y", "R", "Q")
_SMALL = ("", "m", "µ", "n", "p")


def energy_table(record: Mapping[str, Any]) -> Table:
    """One row for each size; energies with their 90 % intervals."""
    with_gradients = " and gradients" if record["gradients"] else ""
    title = (
        f"{record['circuit']}: one evaluation{with_gradients}; {record['shots']:,} shots a circuit on the QPU"
    )
    table = Table(title=title, title_justify="left")
    for name in ("qubits", "weights", "depth", "1q", "2q", "FLOPs", "memory", "GPU", "QPU"):
        table.add_column(name, justify="right")
    for row in record["rows"]:
        counts = ("n_qubits", "n_weights", "depth", "one_qubit_gates", "two_qubit_gates")
        table.add_row(
            *(f"{row[name]:,}" for name in counts),
            in_units(row["flops"], ""),
            in_units(row["memory_bytes"], "B"),
            *(_energy(row, name) for name in ("gpu", "qpu")),
        )
    return table


def in_units(value: float, unit: str) -> str:
    """A number with three digits and a decimal prefix, such as 1.5 kJ."""
    at = 0
    while value >= 999.5 and at < len(_PREFIXES) - 1:
        value, at = value / 1000, at + 1
    if at == 0:
        small = 0
        while 0 < value < 0.9995 and small < len(_SMALL) - 1:
            value, small = value * 1000, small + 1
        return f"{value:.3g} {_SMALL[small]}{unit}".rstrip()
    return f"{value:.3g} {_PREFIXES[at]}{unit}"


def _energy(row: Mapping[str, Any], name: str) -> str:
    low, high = (in_units(each, "J") for each in row[f"{name}_interval"])
    return f"{in_units(row[name], 'J')} [{low}, {high}]"


def energy_notes(record: Mapping[str, Any]) -> Iterator[str]:
    """The crossover in words, beside published ones, and why they differ."""
    yield _crossover_in_words(record)
    published = "; ".join(
        f"{each['qubits']} ({each['source']}, {each['kind']})" for each in record["published"]
    )
    yield f"Published: {published}."
    yield (
        "The GPU's energy doubles with each qubit, so that a factor of 2 in a constant moves the crossover "
        "by one. Estimates differ in shots, in gradients (--gradients moves it up), in gates that are "
        "fused, and in what of a processor's and a server's power is counted."
    )
    yield (
        "FLOPs and memory: of a whole state in single precision, one gate after the other. The energies are "
        "estimates; --json lists every constant with its interval and source, --constant replaces one. Light "
        "cones and tensor networks may need far less: see hybridqies circuits show."
    )


def _crossover_in_words(record: Mapping[str, Any]) -> str:
    found = record["crossover"]
    first, last = record["rows"][0]["n_qubits"], record["rows"][-1]["n_qubits"]
    ends = {"below": f"below {first}", "above": f"above {last}"}
    where, low, high = (
        ends[found[name]] if isinstance(found[name], str) else f"{found[name]:.1f}"
        for name in ("value", "low", "high")
    )
    return f"From this number of qubits on the GPU needs more energy: {where} [{low}, {high}] (90 %)."


def draw_energy(record: Mapping[str, Any]) -> Figure:
    """Both energies against qubits with their intervals, and published crossovers as lines."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    rows = record["rows"]
    qubits = [row["n_qubits"] for row in rows]
    for name, label, colour in (
        ("gpu", "GPU simulation", COLOURS[0]),
        ("qpu", "quantum processor", COLOURS[1]),
    ):
        axes.plot(qubits, [row[name] for row in rows], color=colour, marker="o", markersize=4, label=label)
        low, high = zip(*(row[f"{name}_interval"] for row in rows), strict=True)
        axes.fill_between(qubits, low, high, color=colour, alpha=0.2, linewidth=0)
    for each, style in zip(record["published"], ("--", ":"), strict=False):
        label = f"{each['qubits']}: {each['source']}, {each['kind']}"
        axes.axvline(each["qubits"], color="#718096", linestyle=style, label=label)
    axes.set_yscale("log")
    axes.set_xlabel("qubits")
    axes.set_ylabel("energy of one evaluation, J")
    axes.grid(alpha=0.25)
    axes.legend(frameon=False)
    axes.set_title(f"{plain(record['circuit'], 40)}, {record['shots']:,} shots; bands: 90 %", fontsize=11)
    return figure
