"""Tables of language models, from their records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table


def language_table(title: str, record: Mapping[str, Any], prefix: str = "") -> Table:
    """Loss, perplexity and bits per byte of a model, and what it costs where that was recorded."""
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    table.add_column("measure")
    table.add_column("value", justify="right")
    if "n_parameters" in record:
        table.add_row("parameters", f"{record['n_parameters']:,}")
        table.add_row("operations per token", f"{record['flops_per_token']:,}")
        table.add_row("tokens trained on", f"{record['n_tokens']:,}")
        table.add_row("training tokens/s", f"{record['tokens_per_second']:,.0f}")
        table.add_row("validation loss", f"{record['validation_loss']:.4f}")
    table.add_row("loss (nats per token)", f"{record[f'{prefix}loss']:.4f}")
    interval = record[f"{prefix}interval"]
    ends = "" if interval is None else f" [{interval[0]:.3f}, {interval[1]:.3f}]"
    table.add_row("perplexity", f"{record[f'{prefix}perplexity']:.3f}{ends}")
    table.add_row("bits per byte", f"{record[f'{prefix}bits_per_byte']:.4f}")
    return table


def entanglement_table(record: Mapping[str, Any]) -> Table | None:
    """S₂ / log r of each block (rows) and stride (columns); None where there are no gates.

    Of a run, the value before training stands in front.
    """
    from rich.table import Table

    rows = record["entanglement"]
    if not rows:
        return None
    strides = sorted({row["stride"] for row in rows})
    table = Table(title="S₂ / log r (Haar-random gates of rank 4: 0.551)", title_justify="left")
    table.add_column("block")
    for stride in strides:
        table.add_column(f"t − {stride}", justify="right")
    before = {(row["block"], row["stride"]): row["renyi2"] for row in record.get("entanglement_before", ())}
    now = {(row["block"], row["stride"]): row["renyi2"] for row in rows}
    for block in sorted({row["block"] for row in rows}):
        places = [(block, stride) for stride in strides]
        cells = [f"{before[at]:.3f} → {now[at]:.3f}" if at in before else f"{now[at]:.3f}" for at in places]
        table.add_row(str(block + 1), *cells)
    return table


def benchmark_table(record: Mapping[str, Any]) -> Table:
    """One row for each task and metric, with the interval, and chance where a task has choices."""
    from rich.table import Table

    table = Table(title=f"{record['arm']} on tasks of lm-eval", title_justify="left")
    table.add_column("task")
    table.add_column("metric")
    for name in ("value", "95 % interval", "chance", "documents"):
        table.add_column(name, justify="right")
    for row in record["rows"]:
        known = row["low"] is not None
        table.add_row(
            row["task"],
            row["metric"] if row["filter"] == "none" else f"{row['metric']} ({row['filter']})",
            f"{row['value']:.4g}",
            f"[{row['low']:.4g}, {row['high']:.4g}]" if known else "",
            "" if row["chance"] is None else f"{row['chance']:.4g}",
            "" if row["n_documents"] is None else f"{row['n_documents']:,}",
        )
    return table


def cost_table(record: Mapping[str, Any]) -> Table:
    """One row for each decoder: parameters, operations, speeds and peaks of memory."""
    from rich.table import Table

    title = f"Costs at size {record['size']}, {record['batch_size']} windows of {record['window']} tokens"
    table = Table(title=f"{title}, on {record['device']}", title_justify="left")
    table.add_column("decoder")
    headings = ("parameters", "operations\na token", "training\ntokens/s", "training\npeak MB")
    for name in (*headings, "reading\ntokens/s", "reading\npeak MB", "writing\nms/token"):
        table.add_column(name, justify="right")
    for row in record["rows"]:
        table.add_row(
            row["decoder"],
            f"{row['n_parameters']:,}",
            f"{row['flops_per_token']:,}",
            f"{row['training_tokens_per_second']:,.0f}",
            f"{row['training_peak_bytes'] / 1e6:.1f}",
            f"{row['reading_tokens_per_second']:,.0f}",
            f"{row['reading_peak_bytes'] / 1e6:.1f}",
            f"{row['writing_ms_per_token']:.2f}",
        )
    return table
