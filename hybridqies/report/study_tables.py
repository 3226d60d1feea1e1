"""Table and plot of a sweep from its recorded result alone, and what the tables of all studies share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from hybridqies.files import replacing
from hybridqies.report.study_plots import accuracy_against_qubits

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def sweep_table(result: Mapping[str, Any]) -> Table:
    """One row an arm and number of qubits from what `study.json` of a sweep holds."""
    plan = result["plan"]
    table = Table(title=f"{setting_of(result)}, tested against {plan['reference']}", title_justify="left")
    table.add_column("arm", no_wrap=True)
    table.add_column("qubits", justify="right")
    add_figures(table)
    compared = {(each["arm"], each["n_qubits"]): each for each in result["comparisons"]}
    for cell in result["cells"]:
        qubits = "" if cell["n_qubits"] is None else str(cell["n_qubits"])
        found = compared.get((cell["arm"], cell["n_qubits"]))
        table.add_row(cell["arm"], qubits, *figures_of(cell, found, len(plan["seeds"])))
    return table


def sweep_notes(result: Mapping[str, Any]) -> Iterator[str]:
    """What the table alone would hide: settings by hand, trainings cut short, too few seeds, failures."""
    by_hand = sorted(result["plan"]["options"])
    if by_hand:
        yield f"Set by hand, and so not searched alike: options of {', '.join(by_hand)}."
    yield from comparison_notes(result)
    yield from training_notes(result)


def write_sweep_plot(result: Mapping[str, Any], path: Path) -> None:
    """Draws accuracy against qubits into `path`; nothing when no trial came through."""
    rows = [
        {"arm": cell["arm"], "n_qubits": cell["n_qubits"], **cell["accuracy"]}
        for cell in result["cells"]
        if cell["accuracy"] is not None
    ]
    if rows:
        title = f"{result['data']}, {seeds_of(result)}"
        save(accuracy_against_qubits(rows, title=title), path)


def setting_of(result: Mapping[str, Any]) -> str:
    """Data, seeds and search, as titles say them."""
    plan = result["plan"]
    searched = (
        "no search" if plan["budget"] == 1 else f"{plan['budget']} configurations searched by every arm"
    )
    return f"{result['data']}: {seeds_of(result)}, {searched}"


def seeds_of(result: Mapping[str, Any]) -> str:
    """How many seeds, in words."""
    count = len(result["plan"]["seeds"])
    return "1 seed" if count == 1 else f"{count} seeds"


def add_figures(table: Table) -> None:
    """The columns that `figures_of` fills."""
    for name in (
        "trained\nparameters",
        "test accuracy\n(%)",
        "95 %\ninterval",
        "difference\n(points)",
        "p\n(Holm)",
    ):
        table.add_column(name, justify="right")
    table.add_column("verdict")
    table.add_column("con-\nverged", justify="right")


def figures_of(cell: Mapping[str, Any], compared: Mapping[str, Any] | None, n_seeds: int) -> list[str]:
    """A tested cell and its comparison, None where it is what the others are tested against."""
    if cell["accuracy"] is None:
        return [*["-"] * 5, "no trial came through", ""]
    difference, p_value, verdict = "", "", "the reference"
    if compared is not None:
        seeds = compared["over_seeds"]
        difference = f"{100 * seeds['difference']['mean']:+.2f}"
        p_value, verdict = f"{seeds['p_holm']:.3f}", compared["verdict"]
    return [
        range_of(cell["n_parameters"]),
        mean_of(cell["accuracy"]),
        _interval(cell["accuracy"]),
        difference,
        p_value,
        verdict,
        f"{sum(cell['converged'].values())}/{n_seeds}",
    ]


def range_of(counts: list[int]) -> str:
    """A count, or the least and the greatest of several."""
    return f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"


def mean_of(spread: Mapping[str, Any]) -> str:
    """Mean and deviation in percent."""
    if spread["deviation"] is None:
        return f"{100 * spread['mean']:.2f}"
    return f"{100 * spread['mean']:.2f} ± {100 * spread['deviation']:.2f}"


def comparison_notes(result: Mapping[str, Any]) -> Iterator[str]:
    """Whether there were too few seeds to show anything."""
    blind = next((each for each in result["comparisons"] if not each["over_seeds"]["can_show"]), None)
    if blind is not None:
        seeds = blind["over_seeds"]
        yield (
            f"{seeds['n_seeds']} seeds cannot show any difference in a family of {blind['family']}: "
            f"at least {seeds['seeds_needed']} are needed."
        )


def training_notes(result: Mapping[str, Any]) -> Iterator[str]:
    """Trainings that were cut short, and failures."""
    verdicts = [converged for cell in result["cells"] for converged in cell["converged"].values()]
    if not all(verdicts):
        cut = verdicts.count(False)
        yield f"{cut} of {len(verdicts)} trainings had not converged; more epochs could change their figures."
    for cell in result["cells"]:
        for seed, error in cell["errors"].items():
            yield f"Failed: {cell['label']}, seed {seed}: {error}"


def save(figure: Figure, path: Path) -> None:
    """Writes the figure, whole or not at all."""
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=150)


def _interval(spread: Mapping[str, Any]) -> str:
    return "" if spread["low"] is None else f"{100 * spread['low']:.2f} to {100 * spread['high']:.2f}"
