"""The circuits of a run on its own texts, before and after training."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from hybridqies.backends import QuantumLayer
from hybridqies.cli.app import run
from hybridqies.diagnostics import meyer_wallach, schmidt_spectrum, von_neumann_entropy
from hybridqies.runs import prepare, recorded_config
from hybridqies.runs.entanglement import diagnose_training
from hybridqies.saved_model import load_model

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture(scope="module")
def words(reviews: Path, tiny_encoder: Path) -> list[str]:
    given = ["train", "--data", str(reviews), "--encoder", str(tiny_encoder), "--epochs", "2"]
    return [*given, "--compare", "none", "--json"]


def test_the_ends_are_the_states_that_the_head_reads(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert run([*words, "--head", "two-module", "--qubits", "3", "--lr", "0.1", "--out", str(out)]) == 0
    rows = diagnose_training(out)
    last = {row.layer: row for row in rows if row.gates == row.all_gates}
    assert set(last) == {"encoders", "circuit"}
    assert [row.gates for row in rows if row.layer == "circuit"] == sorted(
        row.gates for row in rows if row.layer == "circuit"
    )
    trained = load_model(out).head
    taken: list[torch.Tensor] = []
    layer = trained.get_submodule("circuit")
    assert isinstance(layer, QuantumLayer)
    layer.register_forward_pre_hook(lambda _, given: taken.append(given[0]))
    prepared = prepare(recorded_config(out))
    with torch.no_grad():
        trained.eval()(prepared.rows(prepared.arm).validation.inputs)
    states = layer.states(taken[0])
    assert last["circuit"].after.meyer_wallach == pytest.approx(float(meyer_wallach(states).mean()), abs=1e-6)
    entropy = von_neumann_entropy(schmidt_spectrum(states, 1)).mean()
    assert last["circuit"].after.entropy == pytest.approx(float(entropy), abs=1e-6)
    assert last["circuit"].before != last["circuit"].after
    assert last["circuit"].random.meyer_wallach == pytest.approx(6 / 9)
    capsys.readouterr()
    assert run(["diagnose", str(out), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["rows"]) == len(rows)
    assert run(["diagnose", str(out)]) == 0
    assert f"{last['circuit'].after.meyer_wallach:.3f}" in capsys.readouterr().out
    assert run(["diagnose", str(out), "--qubits", "4"]) == 2
    assert "--qubits was given with the folder of a run" in capsys.readouterr().err


def test_a_head_without_a_circuit(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert run([*words, "--head", "logistic", "--out", str(out)]) == 0
    assert run(["diagnose", str(out)]) == 2
    assert "head 'logistic'" in capsys.readouterr().err
    assert run(["diagnose", str(tmp_path)]) == 2
