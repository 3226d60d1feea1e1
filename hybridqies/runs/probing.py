"""A run of probes in a folder, which goes on where it was interrupted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from hybridqies.errors import InputError
from hybridqies.options import to_mapping
from hybridqies.ownership import FolderLock
from hybridqies.probes import ProbePlan, run_probes
from hybridqies.records import Needed, read_record, write_record

PROBES = "probes.json"


def probe_language_models(
    plan: ProbePlan,
    folder: Path,
    *,
    on_cell: Callable[[str, int], None] | None = None,
    on_step: Callable[[int, int], None] | None = None,
    device: str = "cpu",
) -> dict[str, Any]:
    """Runs the plan, writes each row to `folder`/probes.json when it is there, and returns all.

    Rows that an earlier start of the same plan wrote are not run again.

    Raises
    ------
    InputError: the folder holds probes of another plan or device.
    """
    record: dict[str, Any] = {"plan": to_mapping(plan), "device": device, "rows": []}
    folder.mkdir(parents=True, exist_ok=True)
    with FolderLock(folder):
        if (folder / PROBES).exists():
            needed: Needed = {"plan": dict, "device": str, "rows": list}
            known = read_record(folder / PROBES, needed=needed, what="record of probes")
            if any(known[key] != record[key] for key in ("plan", "device")):
                raise InputError(
                    f"{str(folder)!r} holds probes of another plan or device",
                    expected="the same options",
                    todo="give another --out",
                )
            record["rows"] = known["rows"]

        def write(rows: list[dict[str, Any]]) -> None:
            write_record(folder / PROBES, {**record, "rows": rows})

        record["rows"] = run_probes(
            plan, record["rows"], on_row=write, on_cell=on_cell, on_step=on_step, device=device
        )
    return record
