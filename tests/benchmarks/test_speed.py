"""The speed comparison on peers that are dependencies anyway: agreement first, then times, then the page."""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
# Each is started in a process of its own.
NAMES = ("lightning.qubit", "wrong", "broken", "lightning.gpu")

WRONG = """
import numpy as np
from peers.workload import Prepared

def prepare(work):
    batch, observables = len(work.features), len(work.observables)
    result = np.zeros((batch, observables)), np.zeros_like(work.features), np.zeros_like(work.weights)
    return Prepared(lambda: result, work.precision)
"""
BROKEN = "def prepare(work): raise MemoryError('/some/folder/file.py is full')"


ROOFLINE = {
    "copy_bytes_per_s": {"100": 50.0, "1000": 10.0},
    "flops_per_s": {"float32": 4.0, "float64": 2.0},
}


@pytest.fixture(scope="module")
def speed() -> Any:
    """The script as a module, with the folder that its own start would put on the path."""
    sys.path.insert(0, str(BENCHMARKS))
    yield importlib.import_module("speed")
    sys.path.remove(str(BENCHMARKS))
    for name in [name for name in sys.modules if name == "speed" or name.split(".")[0] == "peers"]:
        del sys.modules[name]


@pytest.fixture(scope="module")
def record(speed: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A record of one cell, with peers that are right, wrong, broken and without a device."""
    folder = tmp_path_factory.mktemp("speed")
    (folder / "wrong_peer.py").write_text(WRONG)
    (folder / "broken_peer.py").write_text(BROKEN)
    table, bench = importlib.import_module("peers.table"), importlib.import_module("peers.bench")
    with pytest.MonkeyPatch.context() as patch:
        path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
        patch.setenv("PYTHONPATH", path)
        patch.setitem(table.PEERS, "wrong", table.Peer("wrong", "wrong_peer", None))
        patch.setitem(table.PEERS, "broken", table.Peer("broken", "broken_peer", None))
        patch.setattr(bench, "has_gpu", lambda: False)
        patch.setattr(bench, "RETRIES", 0)
        patch.setattr(speed, "new_record", lambda settings: bench.empty_record({"threads": 1, **ROOFLINE}))
        words = ["--qubits", "4", "--batch", "2", "--workloads", "rot-ring", "--seconds", "0.05", "--here"]
        words += ["--threads", "1", "--peers", *NAMES, "--out", str(folder / "speed.json")]
        speed.main(["run", *words])
        before = (folder / "speed.json").read_text()
        speed.main(["run", *words, "--resume"])
        assert json.loads((folder / "speed.json").read_text()) == json.loads(before)
    return folder / "speed.json"


def test_peers_agree_and_are_timed(record: Path) -> None:
    [cell] = json.loads(record.read_text())["cells"]
    assert cell["batch"] == 2
    for entry in (cell["ours"], cell["peers"]["lightning.qubit"]):
        assert entry["status"] == "ok"
        assert entry["error"] < 1e-4
        assert 0 < entry["min"] <= entry["median"]
        assert entry["first"] > 0
        assert entry["peak_bytes"] >= entry["import_bytes"] > 0
    assert cell["ours"]["median_before"] > 0
    assert cell["ours"]["median_after"] > 0


def test_what_gives_no_time_says_why(record: Path) -> None:
    [cell] = json.loads(record.read_text())["cells"]
    wrong, broken = cell["peers"]["wrong"], cell["peers"]["broken"]
    assert wrong["status"] == "mismatch"
    assert "median" not in wrong
    assert broken == {"status": "failed", "why": "MemoryError: file.py is full"}
    assert cell["peers"]["lightning.gpu"] == {"status": "not run", "why": "no GPU"}


def test_report_is_made_from_the_record_alone(speed: ModuleType, record: Path, tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    page.write_text("before\n<!-- speed:begin -->\nold\n<!-- speed:end -->\nafter\n")
    speed.main(["report", str(record), "--docs", str(tmp_path)])
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert "| n | batch | ours |" in text
    assert "wrong, n = 4: mismatch" in text
    assert "lightning.gpu, n = 4: not run: no GPU" in text
    assert (tmp_path / "_static" / "speed-rot-ring.png").stat().st_size > 10_000


def test_roofline_is_the_slower_of_arithmetic_and_traffic(speed: ModuleType) -> None:
    report = importlib.import_module("peers.report")
    record = {"roofline": ROOFLINE}
    small = {"ours": {"state_bytes": 80, "counts": {"flops": 4, "bytes": 100}}}
    large = {"ours": {"state_bytes": 800, "counts": {"flops": 4, "bytes": 100}}}
    assert report.roofline_seconds(record, small) == 2.0
    assert report.roofline_seconds(record, large) == 10.0
    assert report.roofline_seconds(record, {"ours": {"state_bytes": 800}}) is None


def test_machine_is_measured(speed: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = importlib.import_module("peers.machine")
    monkeypatch.setattr(machine, "COPY_SIZES", (2**18,))
    monkeypatch.setattr(machine, "SECONDS", 0.01)
    rates = machine.measure(threads=1)
    assert rates["copy_bytes_per_s"][str(2**18)] > 1e8
    assert rates["flops_per_s"]["float32"] > 1e8
    assert json.loads(json.dumps(machine.facts()))["cores"] >= 1
