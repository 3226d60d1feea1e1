"""Table, verdicts and picture of a scaling study, from its recorded result alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.table import Table

from hybridqies.figures import save
from hybridqies.report.studies.report import StudyReport
from hybridqies.report.studies.scale_plots import draw_scale, operations_of

_HELD_EQUAL = {"parameters": "equal parameters", "operations": "equal operations for each token"}


def scale_table(result: Mapping[str, Any]) -> Table:
    """One row for each text, number of tokens, size and arm."""
    table = Table(title=f"{result['done']} of {result['trials']} trainings", title_justify="left")
    for name in ("text", "arm"):
        table.add_column(name, no_wrap=True)
    for name in ("parameters", "tokens", "training\noperations", "processor\nseconds"):
        table.add_column(name, justify="right")
    for name in ("test loss,\nnats a token", "95 %\ninterval", "bits\na byte", "rate"):
        table.add_column(name, justify="right")
    for cell in result["cells"]:
        table.add_row(cell["text"], cell["arm"], *_figures(cell))
    return table


def scale_notes(result: Mapping[str, Any]) -> Iterator[str]:
    """Differences and laws in words, rates at an end of the range, and failures."""
    for each in result["differences"]:
        yield f"{each['text']}: {each['statement']}{_left_out(each)}."
    for law in result["laws"]:
        yield from _about_law(law)
    rates = sorted(result["plan"]["rates"])
    chosen = [rate for cell in result["cells"] for rate in cell["rates"].values()]
    at_end = sum(rate in (rates[0], rates[-1]) for rate in chosen) if len(rates) > 1 else 0
    if at_end:
        yield (
            f"{at_end} of {len(chosen)} trainings had the smallest or largest of the rates that were tried; "
            "a wider range could change their figures."
        )
    for cell in result["cells"]:
        for seed, error in cell["errors"].items():
            yield f"Failed: {cell['text']}, {cell['arm']}, {cell['size']}, seed {seed}: {error}"


def write_scale_plot(result: Mapping[str, Any], path: Path) -> None:
    """Draws loss against parameters, operations, tokens and seconds; nothing when no trial finished."""
    if result["done"]:
        save(draw_scale(result), path)


def costs_table(costs: Mapping[str, Any]) -> Table:
    """What a study will cost: a row for each text, number of tokens, size and arm, and the sums."""
    table = Table(title="Before anything is trained", title_justify="left")
    for name in ("text", "arm"):
        table.add_column(name, no_wrap=True)
    for name in ("parameters", "operations\nper token", "tokens", "trainings", "operations", "seconds"):
        table.add_column(name, justify="right")
    for row in costs["rows"]:
        shown = (row[name] for name in ("n_parameters", "flops_per_token", "n_tokens", "trainings"))
        table.add_row(row["text"], row["arm"], *(f"{each:,}" for each in shown), *_spent(row))
    table.add_section()
    table.add_row("all", "", "", "", "", f"{costs['trainings']:,}", *_spent(costs))
    return table


def _spent(row: Mapping[str, Any]) -> tuple[str, str]:
    return f"{row['operations']:.3g}", f"{row['seconds']:,.0f}"


def _left_out(difference: Mapping[str, Any]) -> str:
    sizes = ", ".join(difference["left_out"])
    return f" (left out, beyond the sizes of {difference['reference']}: {sizes})" if sizes else ""


def _about_law(law: Mapping[str, Any]) -> Iterator[str]:
    where = f"{law['text']}, at {_HELD_EQUAL[law['by']]}"
    for why in law["unfitted"].values():
        yield f"{where}: no law was fitted: {why}."
    fit = law["fit"]
    if fit is None:
        return
    for arm in fit["arms"]:
        shown = ", ".join(
            f"{symbol} = {arm['values'][name]['value']:.3g} "
            f"[{arm['values'][name]['low']:.3g}, {arm['values'][name]['high']:.3g}]"
            for name, symbol in (("E", "E"), ("alpha", "α"), ("beta", "β"), ("a_opt", "a_opt"))
            if name in arm["values"]
        )
        yield "; ".join([f"{where}: {arm['arm']}: {shown}", *arm["notes"]]) + "."
    for comparison in fit["comparisons"]:
        yield f"{where}: {comparison['statement']}."


def _figures(cell: Mapping[str, Any]) -> list[str]:
    loss = cell["loss"]
    if loss is None:
        return ["-"] * 8
    interval = "" if loss["low"] is None else f"{loss['low']:.4f} to {loss['high']:.4f}"
    rates = sorted(set(cell["rates"].values()))
    return [
        f"{cell['n_parameters']:,}",
        f"{cell['n_tokens']:,}",
        f"{operations_of(cell):.3g}",
        f"{cell['processor_seconds']['mean']:.0f}",
        f"{loss['mean']:.4f}",
        interval,
        f"{cell['bits_per_byte']['mean']:.4f}",
        ", ".join(f"{rate:g}" for rate in rates),
    ]


REPORT = StudyReport(scale_table, scale_notes, write_scale_plot, costs_table)
