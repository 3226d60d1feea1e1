"""Tables of quanta, from records alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

_SHOWN_BEFORE = 24


def checks_table(records: Sequence[Mapping[str, Any]]) -> Table:
    """One row a seed: how well clusters agree with known quanta, and two controls."""
    problem = records[0]["known"]["problem"]
    title = f"Adjusted Rand index of clusters with {problem['n_tasks']} known quanta"
    table = Table("seed", title=title, title_justify="left")
    for name in ("loss, nats", "|cos|", "angular", "untrained", "shuffled"):
        table.add_column(name, justify="right")
    for record in records:
        found = (f"{record[name]:.2f}" for name in ("absolute", "angular", "untrained", "shuffled"))
        table.add_row(str(record["seed"]), f"{record['loss']:.4f}", *found)
    return table


def clusters_table(record: Mapping[str, Any], n_shown: int) -> Table:
    """One row a cluster: its size, similarities, and its most typical tokens behind what precedes them."""
    title = f"Clusters of {record['n_samples']} tokens by their gradients; the token stands in ⟦ ⟧"
    table = Table("samples", title=title, title_justify="left", show_lines=True)
    for name in ("inside", "outside"):
        table.add_column(name, justify="right")
    table.add_column("most typical tokens")
    for cluster in record["clusters"]:
        similar = ("" if cluster[name] is None else f"{cluster[name]:.2f}" for name in ("inside", "outside"))
        lines = [_mark(sample) for sample in cluster["samples"][:n_shown]]
        table.add_row(str(len(cluster["samples"])), *similar, "\n".join(lines))
    return table


def _mark(sample: Mapping[str, Any]) -> str:
    """A token in its context on one line."""
    whole = f"{sample['before'][-_SHOWN_BEFORE:]}⟦{sample['token']}⟧"
    return whole.replace("\n", "↵").replace("\t", "→")
