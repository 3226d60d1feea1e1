"""The commands and versions to do it again with."""

from __future__ import annotations

from collections.abc import Iterator

from hybridqies.report.html.blocks import Code, Table
from hybridqies.report.html.commands import train_command
from hybridqies.report.html.plots import Block
from hybridqies.report.html.records import RunRecord


def repeat_run(run: RunRecord) -> Iterator[Block]:
    """The command of the run, and the fingerprints of what it read."""
    result = run.arms[0].result
    yield Code("Command", train_command(run.config))
    facts = {
        "hybridqies": result["hybridqies"],
        "data": run.config.data.source,
        "fingerprint of the data": result["data_fingerprint"],
        "encoder": run.config.encoder,
        "fingerprint of the encoder": result.get("encoder_fingerprint", ""),
        "seed": str(result["seed"]),
        "SHA-256 of the weights": result.get("weights_sha256", ""),
    }
    rows = tuple((name, str(value)) for name, value in facts.items() if value)
    yield Table("versions", "Versions and fingerprints", ("what", "value"), rows, (False, False))
