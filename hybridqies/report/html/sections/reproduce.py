"""The commands and versions to do it again with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hybridqies.report.html.blocks import Code, Table
from hybridqies.report.html.commands import train_command
from hybridqies.report.html.plots import Block
from hybridqies.report.html.records import RunRecord, StudyRecord


def repeat_run(run: RunRecord) -> Iterator[Block]:
    """The command of the run, and the fingerprints of what it read."""
    result = run.arms[0].result
    yield Code("Command", train_command(run.config))
    facts = {
        "hybridqies": result["hybridqies"],
        "data": run.config.data.source,
        "fingerprint of the data": result["data_fingerprint"],
        "encoder": run.config.encoder if "encoder_fingerprint" in result else "",
        "fingerprint of the encoder": result.get("encoder_fingerprint", ""),
        "seed": str(result["seed"]),
        "SHA-256 of the weights": result.get("weights_sha256", ""),
    }
    found = facts | run.comparison.get("versions", {})
    yield _table("Versions and fingerprints", found)


def repeat_study(study: StudyRecord) -> Iterator[Block]:
    """The command of the study, and the file that it reads."""
    command = f"hybridqies {study.kind} study.toml --out runs/again"
    yield Code("Command, with study.toml as below", command)
    yield Code("study.toml", study.plan, folded=study.plan.count("\n") > 30)
    yield _table("Versions", {"hybridqies": study.result["hybridqies"]} | study.result.get("versions", {}))


def _table(caption: str, facts: Mapping[str, Any]) -> Table:
    rows = tuple((name, str(value)) for name, value in facts.items() if value)
    return Table("versions", caption, ("what", "value"), rows, (False, False))
