"""What a run records of its cost."""

from __future__ import annotations

from pathlib import Path

import pytest

from hybridqies.backends.statevector import StateVector
from hybridqies.circuit import load_recipe
from hybridqies.cli.app import run
from hybridqies.energy import meters
from hybridqies.errors import ModelFolderError
from hybridqies.runs.cost import energy_in_words, read_cost
from hybridqies.runs.folder import read_result

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
    monkeypatch.setattr(meters.find_meters, "__kwdefaults__", {"powercap": tmp_path, "library": "none"})
    out = tmp_path / "run"
    words = ["train", "--data", str(reviews), "--encoder", str(tiny_encoder), "--out", str(out)]
    assert run([*words, "--head", "dressed", "--qubits", "3", "--epochs", "3", "--compare", "logistic"]) == 0
    cost, result = read_cost(out), read_result(out)
    assert (cost["epochs"], cost["epochs_measured"], cost["shots"]) == (3, 3, None)
    assert cost["seconds"] == result["seconds"]
    # One reading finds the meter, one begins; then one an epoch, and one at the end.
    assert cost["joules"] == {"RAPL package-0": 40.0}
    circuit = load_recipe("long-range-reupload").build(3, {})
    (counted,) = cost["circuits"].values()
    assert (counted["n_qubits"], counted["depth"]) == (3, circuit.depth())
    assert counted["two_qubit_gates"] == circuit.two_qubit_gates()
    exact = StateVector().exact_cost(circuit)
    assert exact is not None
    assert counted["operations_per_sample"] == exact.operations
    assert cost["circuit_operations"] == exact.operations * result["n_train"] * 3
    assert 2**20 < cost["peak_memory_bytes"] < 2**40
    assert "Energy of training dressed: RAPL package-0 40 J." in capsys.readouterr().out
    classical = read_cost(out / "compare" / "logistic")
    assert (classical["circuits"], classical["circuit_operations"]) == ({}, 0)
    (out / "cost.json").write_text("{}")
    with pytest.raises(ModelFolderError, match="record of cost"):
        energy_in_words(out)
    (out / "cost.json").unlink()
    assert energy_in_words(out) == "not measured"


def test_a_machine_that_does_not_measure_says_so(
    reviews: Path, tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meters.find_meters, "__kwdefaults__", {"powercap": tmp_path, "library": "none"})
    out = tmp_path / "run"
    words = ["train", "--data", str(reviews), "--encoder", str(tiny_encoder), "--out", str(out)]
    assert run([*words, "--head", "logistic", "--compare", "none"]) == 0
    assert read_cost(out)["joules"] == {}
    assert energy_in_words(out) == f"not measured (no RAPL counters in {tmp_path})"
