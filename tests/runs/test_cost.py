"""What a run records of its cost."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from built_heads import built_head

from hybridqies.backends.statevector import StateVector
from hybridqies.circuit import load_recipe
from hybridqies.cli.app import run
from hybridqies.energy import meters
from hybridqies.errors import ModelFolderError
from hybridqies.runs import cost
from hybridqies.runs.cost import energy_in_words, read_cost
from hybridqies.runs.folder import read_result

RESULT = {"seconds": 33, "n_parameters": 1, "epochs": 2, "n_train": 5}

pytestmark = pytest.mark.usefixtures("own_cache")


def test_a_run_records_its_cost(
    reviews: Path,
    tiny_encoder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    place = tmp_path / "intel-rapl:0"
    place.mkdir()
    (place / "name").write_text("package-0")
    (place / "max_energy_range_uj").write_text("1000000000")
    (place / "energy_uj").write_text("0")
    spent = iter(range(1, 100))

    def read(self: meters.Rapl) -> float:
        return 10.0 * next(spent)

    monkeypatch.setattr(meters.Rapl, "read", read)
    monkeypatch.setattr(cost, "_READ_EVERY", math.inf)
    monkeypatch.setattr(meters.find_meters, "__kwdefaults__", {"powercap": tmp_path, "library": "none"})
    out = tmp_path / "run"
    words = ["train", "--data", str(reviews), "--encoder", str(tiny_encoder), "--out", str(out)]
    assert run([*words, "--head", "dressed", "--qubits", "3", "--epochs", "3", "--compare", "logistic"]) == 0
    found, result = read_cost(out), read_result(out)
    assert (found["epochs"], found["epochs_measured"], found["shots"]) == (3, 3, None)
    assert found["seconds"] == result["seconds"]
    # One reading finds the meter, one begins; then one an epoch, and one at the end.
    assert found["joules"] == {"RAPL package-0": 40.0}
    circuit = load_recipe("long-range-reupload").build(3, {})
    (counted,) = found["circuits"].values()
    assert (counted["n_qubits"], counted["depth"]) == (3, circuit.depth())
    assert counted["two_qubit_gates"] == circuit.two_qubit_gates()
    exact = StateVector().exact_cost(circuit)
    assert exact is not None
    assert counted["operations_per_sample"] == exact.operations
    assert found["circuit_operations"] == exact.operations * result["n_train"] * 3
    assert 2**20 < found["peak_memory_bytes"] < 2**40
    assert "Energy of training dressed: RAPL package-0 40 J." in capsys.readouterr().out
    classical = read_cost(out / "compare" / "logistic")
    assert (classical["circuits"], classical["circuit_operations"]) == ({}, 0)
    (out / "cost.json").write_text("{}")
    with pytest.raises(ModelFolderError, match="record of cost"):
        energy_in_words(out)
    (out / "cost.json").unlink()
    assert energy_in_words(out) == "not measured"


def test_a_counter_is_read_within_an_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It holds 10 J, and begins again twice before the first epoch ends."""
    place = tmp_path / "intel-rapl:0"
    place.mkdir()
    for name, content in (("name", "package-0"), ("max_energy_range_uj", "10000000"), ("energy_uj", "0")):
        (place / name).write_text(content)
    monkeypatch.setattr(meters.find_meters, "__kwdefaults__", {"powercap": tmp_path, "library": "none"})
    now = 0.0
    monkeypatch.setattr("hybridqies.runs.cost.time.monotonic", lambda: now)
    meter = cost.CostMeter(torch.device("cpu"))
    for seconds, microjoules in ((11.0, 9_000_000), (22.0, 8_000_000), (33.0, 7_000_000)):
        (place / "energy_uj").write_text(str(microjoules))
        now = seconds
        meter.step(1, 9)
    meter.sample()
    meter.write(tmp_path, built_head("logistic", 8), RESULT, None)
    assert read_cost(tmp_path)["joules"] == pytest.approx({"RAPL package-0": 27.0})


def test_copies_side_by_side_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The two-module head runs its encoder several times for a text."""
    monkeypatch.setattr(meters.find_meters, "__kwdefaults__", {"powercap": tmp_path, "library": "none"})
    head = built_head("two-module", 8, encoders=3)
    cost.CostMeter(torch.device("cpu")).write(tmp_path, head, RESULT, None)
    found = read_cost(tmp_path)
    one = {role: StateVector().exact_cost(circuit) for role, circuit in head.circuits().items()}
    assert one["encoder"] is not None
    assert one["circuit"] is not None
    assert {role: each["copies"] for role, each in found["circuits"].items()} == {"encoder": 3, "circuit": 1}
    each_text = 3 * one["encoder"].operations + one["circuit"].operations
    assert found["circuit_operations"] == each_text * RESULT["n_train"] * RESULT["epochs"]


def test_a_machine_that_does_not_measure_says_so(
    reviews: Path, tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meters.find_meters, "__kwdefaults__", {"powercap": tmp_path, "library": "none"})
    out = tmp_path / "run"
    words = ["train", "--data", str(reviews), "--encoder", str(tiny_encoder), "--out", str(out)]
    assert run([*words, "--head", "logistic", "--compare", "none"]) == 0
    assert read_cost(out)["joules"] == {}
    assert energy_in_words(out) == f"not measured (no RAPL counters in {tmp_path})"
