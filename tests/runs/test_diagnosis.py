"""The circuits of a run on its own texts, before and after training, and what is recorded of them."""

from __future__ import annotations

import errno
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from hybridqies.backends import QuantumLayer, load_backend
from hybridqies.cli.app import run
from hybridqies.diagnostics import (
    Survey,
    measure_variance,
    meyer_wallach,
    random_variance,
    schmidt_spectrum,
    von_neumann_entropy,
)
from hybridqies.diagnostics.gradients import differentiate, draw_inputs
from hybridqies.errors import InputError, ModelFolderError
from hybridqies.runs import diagnosis, prepare, recorded_config
from hybridqies.runs.diagnosis import DRAWS, diagnose_training, read_diagnosis, write_diagnosis
from hybridqies.saved_model import load_model

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture(scope="module")
def words(reviews: Path, tiny_encoder: Path) -> list[str]:
    given = ["train", "--data", str(reviews), "--encoder", str(tiny_encoder), "--epochs", "2"]
    return [*given, "--compare", "none", "--json"]


@pytest.fixture
def trained(words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    out = tmp_path / "run"
    assert run([*words, "--head", "two-module", "--qubits", "3", "--lr", "0.1", "--out", str(out)]) == 0
    capsys.readouterr()
    return out


def given_to_the_circuit(folder: Path) -> tuple[QuantumLayer, torch.Tensor]:
    """The second module of the trained head, and the features that validation texts give it."""
    head, taken = load_model(folder).head, list[torch.Tensor]()
    layer = head.get_submodule("circuit")
    assert isinstance(layer, QuantumLayer)
    layer.register_forward_pre_hook(lambda _, given: taken.append(given[0]))
    prepared = prepare(recorded_config(folder))
    with torch.no_grad():
        head.eval()(prepared.rows(prepared.arm).validation.inputs)
    return layer, taken[0]


def test_the_ends_are_the_states_that_the_head_reads(trained: Path) -> None:
    found = diagnose_training(trained, Survey(samples=20))
    rows = found["rows"]
    last = {row["layer"]: row for row in rows if row["gates"] == row["all_gates"]}
    assert set(last) == {"encoders", "circuit"}
    parts = [row["gates"] for row in rows if row["layer"] == "circuit"]
    assert parts == sorted(parts)
    layer, features = given_to_the_circuit(trained)
    states, after = layer.states(features), last["circuit"]["after"]
    assert after["meyer_wallach"] == pytest.approx(float(meyer_wallach(states).mean()), abs=1e-6)
    entropy = von_neumann_entropy(schmidt_spectrum(states, 1)).mean()
    assert after["entropy"] == pytest.approx(float(entropy), abs=1e-6)
    assert last["circuit"]["before"] != after
    assert last["circuit"]["random"]["meyer_wallach"] == pytest.approx(6 / 9)


def test_gradients_are_those_of_finite_differences(trained: Path) -> None:
    found = diagnose_training(trained, Survey(samples=20))
    rows = {(row["layer"], row["observable"]): row for row in found["gradients"]}
    layer, features = given_to_the_circuit(trained)
    circuit, features = layer.circuit, features.double()
    weights, step = layer.weights.detach().double(), 1e-4
    backend, squares = load_backend("statevector"), torch.zeros(len(circuit.observables), circuit.n_weights)
    for at in range(circuit.n_weights):
        shift = torch.zeros_like(weights)
        shift[at] = step
        up, down = (backend.expectations(circuit, features, weights + sign * shift) for sign in (1, -1))
        squares[:, at] = ((up - down) / (2 * step)).square().mean(0)
    for observable, moved in zip(circuit.observables, squares, strict=True):
        row = rows["circuit", str(observable)]
        moving = moved[moved > 1e-12]
        assert row["after"]["moving"] == len(moving)
        assert row["after"]["value"] == pytest.approx(float(moving.mean()), rel=1e-4)
        assert row["two_design"] == random_variance(3)
        assert row["before"]["value"] != row["after"]["value"]
    drawn = measure_variance(differentiate(circuit, 0, draw_inputs(circuit, 0, 20)))
    assert drawn is not None
    assert rows["circuit", str(circuit.observables[0])]["random"]["value"] == drawn.value
    assert {row["n_weights"] for row in found["gradients"] if row["layer"] == "circuit"} == {
        circuit.n_weights
    }


def test_the_command_records_what_it_shows(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert read_diagnosis(trained) is None
    assert run(["diagnose", str(trained), "--json", "--samples", "20", "--seed", "3"]) == 0
    shown = json.loads(capsys.readouterr().out)
    recorded = read_diagnosis(trained)
    assert recorded is not None
    assert shown == {"run": str(trained), **recorded}
    assert (recorded["samples"], recorded["seed"]) == (20, 3)
    assert run(["diagnose", str(trained)]) == 0
    out = capsys.readouterr().out
    again = read_diagnosis(trained)
    assert again is not None
    assert again["samples"] == DRAWS
    assert f"{again['rows'][-1]['after']['meyer_wallach']:.3f}" in out
    assert f"Recorded in {trained / 'diagnostics.json'}" in out.replace("\n", " ")
    assert run(["diagnose", str(trained), "--qubits", "4"]) == 2
    assert "--qubits was given with the folder of a run" in capsys.readouterr().err


def record_of(folder: Path) -> dict[str, Any]:
    """A diagnosis of the weights in the folder that nobody measured."""
    found = diagnose_training(folder, Survey(samples=4))
    write_diagnosis(folder, found)
    return found


def test_a_record_is_damaged_or_of_other_weights(
    trained: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    found, path = record_of(trained), trained / "diagnostics.json"
    whole = path.read_bytes()
    assert read_diagnosis(trained) == found
    for damaged in (b"{}", whole[:-9], whole.replace(b'"samples": 4', b'"samples": 5')):
        path.write_bytes(damaged)
        with pytest.raises(ModelFolderError, match=r"record of a diagnosis .*diagnostics\.json"):
            read_diagnosis(trained)
    assert run(["report", str(trained), "--out", str(trained / "report.html")]) == 2
    assert "record of a diagnosis" in capsys.readouterr().err
    path.write_bytes(whole)
    # A training that is continued writes over the weights.
    assert run(["train", "--resume", "--epochs", "3", "--out", str(trained)]) == 0
    assert not path.exists()
    path.write_bytes(whole)
    with pytest.raises(ModelFolderError, match="of other weights than the run has now"):
        read_diagnosis(trained)
    path.unlink()
    with pytest.raises(InputError, match="changed while they were measured"):
        write_diagnosis(trained, found)
    assert not path.exists()


@pytest.mark.parametrize(("number", "code"), [(errno.EROFS, 0), (errno.EACCES, 0), (errno.ENOSPC, 2)])
def test_a_folder_that_cannot_be_written_to(
    number: int,
    code: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(path: Path, *_: object) -> None:
        raise OSError(number, os.strerror(number), str(path / "diagnostics.json"))

    numbers = {"most_texts": 64, "samples": 4, "rows": [], "gradients": [], "weights_sha256": ""}
    monkeypatch.setattr(diagnosis, "diagnose_training", lambda *_: numbers)
    monkeypatch.setattr(diagnosis, "write_diagnosis", fail)
    assert run(["diagnose", str(tmp_path), "--json"]) == code
    out, err = capsys.readouterr()
    assert json.loads(out) == {"run": str(tmp_path), **numbers}
    assert err.count("\n") == 1
    assert os.strerror(number) in err


def test_runs_that_cannot_be_diagnosed(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert run([*words, "--head", "logistic", "--out", str(out)]) == 0
    assert run(["diagnose", str(out)]) == 2
    assert "head 'logistic'" in capsys.readouterr().err
    assert run(["diagnose", str(tmp_path)]) == 2
    assert not (out / "diagnostics.json").exists()


def test_a_circuit_that_is_too_wide_is_refused(monkeypatch: pytest.MonkeyPatch, trained: Path) -> None:
    model = load_model(trained)
    layer = model.head.get_submodule("circuit")
    assert isinstance(layer, QuantumLayer)
    monkeypatch.setattr(layer, "circuit", replace(layer.circuit, n_qubits=21))
    monkeypatch.setattr(diagnosis, "load_model", lambda *_, **__: model)
    with pytest.raises(InputError, match=r"has 21 qubit\(s\); expected 2 to 20"):
        diagnose_training(trained)
