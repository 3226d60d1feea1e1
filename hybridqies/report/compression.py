"""Tables of a compressed model beside its controls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table


def compression_table(report: Mapping[str, Any]) -> Table:
    """One row an arm of what `compression.json` holds: parameters, bytes, quality, speed."""
    if "tokens" in report:
        title = f"on {report['tokens']} tokens; 95 % intervals over windows"
        measured = {"perplexity": 2, "ratio": 3}
        speed = "tokens_per_second"
    else:
        title = f"on {report['data']['rows']['test']} test texts; 95 % intervals over texts"
        measured = {"accuracy": 4, "difference": 4}
        speed = "texts_per_second"
    table = Table(title=title)
    for heading in ("arm", "parameters", "layers", "MB", *measured, speed.replace("_per_second", "/s")):
        table.add_column(heading, justify="left" if heading == "arm" else "right")
    for arm in report["arms"]:
        table.add_row(
            arm["arm"],
            f"{arm['parameters']:,.0f}",
            f"{arm['layer_parameters']:,.0f}",
            f"{arm['bytes'] / 1e6:.1f}",
            *(_interval(arm[name], digits) for name, digits in measured.items()),
            f"{arm[speed]:.0f}",
        )
    return table


def profile_table(title: str, rows: Sequence[Mapping[str, Any]], report: Mapping[str, Any]) -> Table:
    """What `compression.json` says of each layer, or each type of layers, compressed alone."""
    table = Table()
    measured, digits = ("ratio of perplexity", 3) if "tokens" in report else ("change of embeddings", 5)
    for heading in (title, "layers", measured):
        table.add_column(heading, justify="left" if heading == title else "right")
    for row in rows:
        table.add_row(row["name"], str(row["n_layers"]), _interval(row["measured"], digits))
    return table


def _interval(found: Mapping[str, float], digits: int) -> str:
    return f"{found['value']:.{digits}f} [{found['low']:.{digits}f}, {found['high']:.{digits}f}]"
