"""Tables of the analysis of a language model, from its record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

Row = Mapping[str, Any]


def analysis_tables(record: Mapping[str, Any]) -> Iterator[Table]:
    """Means before and after training beside Haar, correlations with the loss, and ablations."""
    if "trained" in record:
        yield _means_table(record)
        yield _correlation_table(record)
    yield _ablation_table(record)


def _means_table(record: Mapping[str, Any]) -> Table:
    from rich.table import Table

    title = f"Entanglement of {record['arm']}, rank {record['rank']}: means over blocks and strides"
    table = Table("measure", title=title, title_justify="left")
    for name in ("untrained", "trained", "Haar-random"):
        table.add_column(name, justify="right")
    labels = {
        "renyi2": "S₂ / log r",
        "von_neumann": "von Neumann / log r",
        "purity": "purity",
        "operator": "operator entanglement",
    }
    for key, label in labels.items():
        values = [mean_of(record[name]["entanglement"], key) for name in ("untrained", "trained")]
        table.add_row(label, *(f"{value:.3f}" for value in (*values, record["haar"][key])))
    return table


def mean_of(rows: Sequence[Row], key: str) -> float:
    """The mean of a measure over blocks and strides."""
    return float(sum(row[key] for row in rows) / len(rows))


def _correlation_table(record: Mapping[str, Any]) -> Table:
    from rich.table import Table

    table = Table(title="Correlation of S₂ with the loss of the next token", title_justify="left")
    table.add_column("gate")
    for name in ("r", "covariates fixed", "untrained", "untrained,\nfixed"):
        table.add_column(name, justify="right")
    trained, untrained = (record[name]["correlation"] for name in ("trained", "untrained"))
    for row, other in zip(trained, untrained, strict=True):
        table.add_row(name_place(row), *_correlation_cells(row), *_correlation_cells(other))
    table.caption = "Covariates: log frequency of the read and of the next token, log position."
    return table


def _correlation_cells(row: Row) -> tuple[str, str]:
    return (
        _with_interval(row["r"], row["low"], row["high"], ".2f"),
        _with_interval(row["partial"], row["partial_low"], row["partial_high"], ".2f"),
    )


def _ablation_table(record: Mapping[str, Any]) -> Table:
    from rich.table import Table

    kind = {"mean": "its mean", "zero": "zero"}[record["replacement"]]
    table = Table(title=f"Change of loss where a stride adds {kind}, nats × 1000", title_justify="left")
    table.add_column("block")
    rows = {(row["block"], row["stride"]): row for row in record["ablation"]}
    strides = list(dict.fromkeys(stride for _, stride in rows))
    for stride in strides:
        table.add_column("all" if stride is None else f"t − {stride}", justify="right")
    for block in dict.fromkeys(block for block, _ in rows):
        cells = [rows[block, stride] for stride in strides]
        table.add_row(
            "all" if block is None else str(block + 1),
            *(f"{1000 * cell['change']:+.1f}\n±{500 * (cell['high'] - cell['low']):.1f}" for cell in cells),
        )
    return table


def name_place(row: Row) -> str:
    """Block and stride of a row in words."""
    return "mean of all" if row["block"] is None else f"block {row['block'] + 1}, t − {row['stride']}"


def _with_interval(value: float | None, low: float | None, high: float | None, form: str) -> str:
    if value is None or low is None or high is None:
        return "does not vary"
    return f"{value:+{form}} [{low:+{form}}, {high:+{form}}]"
