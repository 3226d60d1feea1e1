"""Tables of recorded results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from hybridqies.report.confusion import confusion_tables
from hybridqies.report.words import head_label, percent, tuning_label
from hybridqies.tasks import Metric


def comparison_table(comparison: Mapping[str, Any]) -> Table:
    """One row a head from what `comparison.json` holds: parameters, metrics, seconds."""
    rows = comparison["data"]["rows"]
    counts = ", ".join(f"{rows[name]} {name}" for name in rows)
    table = Table(title=f"{comparison['data']['name']}: {counts}", title_justify="left")
    table.add_column("head")
    # Two words a heading stand on two lines, which leaves the width to the head's name.
    metrics = [Metric(**each) for each in comparison["metrics"]]
    measured = [f"validation\n{metrics[0].label}", *(f"test\n{each.label}" for each in metrics)]
    tuned = any(result.get("tuning") for result in comparison["results"])
    if tuned:
        table.add_column("encoder")
    for name in ("trained\nparameters", *measured, "seconds"):
        table.add_column(name, justify="right")
    for result in comparison["results"]:
        table.add_row(
            head_label(result),
            *([tuning_label(result)] if tuned else []),
            f"{result['n_parameters']:,}",
            metrics[0].write_with_unit(result[f"validation_{metrics[0].name}"]),
            *(each.write_with_unit(result[each.name]) for each in metrics),
            f"{result['seconds']:.1f}",
        )
    return table


def evaluation_tables(record: Mapping[str, Any]) -> list[Table]:
    """Metrics of one evaluation, those of each class, and which were taken for which."""
    metrics = Table(
        "measured on", "value", title=f"{record['data']} / {record['split']}", title_justify="left"
    )
    metrics.add_row("pairs of texts" if record.get("pairs") else "texts", f"{record['n_test']:,}")
    for name in ("accuracy", "macro_f1", "calibration_error"):
        metrics.add_row(name.replace("_", " "), percent(record[name]))
    metrics.add_row("log loss", f"{record['log_loss']:.4f}")
    if record.get("backend") is not None:
        metrics.add_row("backend", record["backend"])
    if "shot_noise" in record:
        low, high = record["shot_noise"]["accuracy_interval"]
        metrics.add_row("accuracy, 95 % of shot noise", f"{percent(low)} to {percent(high)}")
    return [metrics, *confusion_tables(record)]


def dry_run_table(plans: Sequence[Mapping[str, Any]]) -> Table:
    """What would be handed in, or computed exactly in this process, a row for each circuit of the head."""
    if plans[0]["run_as"] is not None:
        return _exact_table(plans)
    table = Table(title=f"Dry run on {plans[0]['backend']}: nothing was sent", title_justify="left")
    table.add_column("circuit")
    for name in ("qubits", "depth", "two-qubit\ngates", "circuits", "shots\neach", "shots\nin all", "jobs"):
        table.add_column(name, justify="right")
    table.add_column("QPU seconds", justify="right")
    table.add_column("price", justify="right")
    for plan in plans:
        table.add_row(
            plan["circuit"],
            *(f"{plan[name]:,}" for name in ("n_qubits", "depth", "two_qubit_gates", "circuits")),
            "exact" if plan["shots"] is None else f"{plan['shots']:,}",
            f"{plan['total_shots']:,}",
            f"{plan['jobs']:,}",
            "no rate" if plan["seconds"] is None else f"{plan['seconds']:,.1f}",
            "no rate" if plan["price"] is None else f"{plan['price']:,.2f} {plan['currency']}",
        )
    return table


def _exact_table(plans: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(title=f"Dry run on {plans[0]['backend']}: nothing was run", title_justify="left")
    table.add_column("circuit")
    for name in ("qubits", "depth", "two-qubit\ngates", "runs of\na sample"):
        table.add_column(name, justify="right")
    table.add_column("run as")
    table.add_column("operations a run,\nforward and backward", justify="right")
    for plan in plans:
        table.add_row(
            plan["circuit"],
            *(f"{plan[name]:,}" for name in ("n_qubits", "depth", "two_qubit_gates", "circuits")),
            plan["run_as"],
            f"{plan['operations']:,}",
        )
    return table
