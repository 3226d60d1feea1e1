"""Short versions of the scripts that measure: values agree before they are timed, and tables are printed."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from compression.language_models import write_model, write_text
from scripts import InThisProcess, Load

from hybridqies.cli.app import run
from hybridqies.text import Encoder


def test_structure(load: Load, tmp_path: Path) -> None:
    script = load("structure")
    (tmp_path / "heads").mkdir()
    (tmp_path / "top.py").write_text('"""svc"""\n\n\ndef one():\n    return "svc"\n')
    (tmp_path / "heads" / "two.py").write_text(
        'A, B = "svc", "aer"\n\n\ndef two():\n    return 1\n\n\nC = 2\n'
    )
    figures = script.measure(tmp_path)
    assert list(figures["packages"]) == ["(top)", "heads"]
    assert figures["all"] == {
        "files": 2,
        "median file": 6.5,
        "longest file": 8,
        "functions": 2,
        "median function": 2,
        "longest function": 2,
    }
    found = figures["files that name a"]
    assert found["backend"] == {"files": 1, "places": 1, "where": {"heads/two.py": 1}}
    assert found["gate"]["places"] == 0
    assert "backends by name: 1 places in 1 files" in script.table(figures)


def test_structure_knows_every_head_backend_and_gate(load: Load) -> None:
    from hybridqies.backends import BACKENDS
    from hybridqies.circuit import GATES
    from hybridqies.heads import HEADS

    names = load("structure").NAMES
    assert names["head"] == set(HEADS)
    assert names["backend"] == set(BACKENDS)
    # Letters alone are also Paulis.
    assert names["gate"] == {name for name in GATES if len(name) > 1}


def test_compression(load: Load, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, text = write_model(tmp_path / "tiny"), write_text(tmp_path / "words.txt")
    flags = ["--types", "k_proj", "--windows", "2", "--width", "16", "--blocks", "1"]
    load("compression").main([str(model), "--text", str(text), "--calibrate", str(text), *flags])
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in printed[1::2]] == [
        ["k_proj", name] for name in ("svd", "wsvd", "mpo", "wmpo", "zero")
    ]
    assert printed[-1].startswith("k_proj     gaussian  100.0% of 1 layers: x")


def test_encoder_compression(
    load: Load, tiny_encoder: Path, reviews: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = ["--data", str(reviews), "--heal", str(reviews), "--texts", "16", "--per-class", "10"]
    flags = ["--layers", "query", "*.intermediate.dense", "--methods", "svd", "wmpo", "--test", "30"]
    load("encoder_compression").main([str(tiny_encoder), *texts, *flags, "--learning-rate", "0.01"])
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("untouched       2,048")
    assert printed[0].endswith("on 30 texts")
    rows = [line.partition(" distance ")[0].split() for line in printed[1:]]
    assert [" ".join(row[:-5]) for row in rows] == ["svd", "svd healed", "wmpo", "wmpo healed"]
    assert all(int(row[-5].replace(",", "")) <= 1024 for row in rows)
    distances = [float(line.partition(" distance ")[2].split()[0]) for line in printed[1:]]
    assert distances[1] < distances[0]


def test_whole_model(load: Load, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, text = write_model(tmp_path / "tiny"), write_text(tmp_path / "words.txt")
    texts = ["--text", str(text), "--calibrate", str(text), "--windows", "3", "--width", "16"]
    flags = ["--types", "k_proj", "up_proj", "--heal", "4", "--keep", "0.5"]
    load("whole_model").main([str(model), *texts, *flags])
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("untouched       1,024 of 4 layers:")
    assert printed[2].startswith("keep 0.5:")
    rows = [line.partition(":")[0].split() for line in printed[3:]]
    assert [(row[0], row[-1]) for row in rows] == [
        (name, when) for name in ("svd", "wsvd", "mpo", "wmpo") for when in ("before", "healed")
    ]
    assert all(int(row[1].replace(",", "")) <= 512 for row in rows)


@pytest.mark.usefixtures("own_cache")
def test_backend_swap(load: Load, reviews: Path, tiny_encoder: Path, tmp_path: Path) -> None:
    words = ["train", "--data", reviews, "--encoder", tiny_encoder, "--head", "dressed", "--qubits", 2]
    assert run([*map(str, words), "--epochs", "2", "--out", str(tmp_path / "run"), "--json"]) == 0
    script = load("backend_swap")
    records = script.compared(tmp_path / "run", ["statevector", "aer", "statevector,shots=16"])
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    exact, other, sampled = records
    assert exact["accuracy"] == other["accuracy"] == result["accuracy"]
    assert (exact["changed"], other["changed"]) == (0, 0)
    assert exact["accuracy_interval"] is None
    assert sampled["accuracy_interval"][0] <= sampled["accuracy"] <= sampled["accuracy_interval"][1]
    assert {each["texts"] for each in records} == {result["n_test"]}
    assert script.table(records).count("| exact |") == 2


def test_head_speed(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    script = load("head_speed")
    for name, size in {"TEXTS": 20, "INPUTS": 6, "EPOCHS": 2}.items():
        monkeypatch.setattr(script, name, size)
    record = script.measure(n_qubits=3, encoders=2, steps=1)
    assert (record["steps"], record["qubits"], record["encoders"]) == (4, 3, 2)
    assert script.table(record).splitlines()[1].startswith("our engine")
    head, data = script.build(3, 2)
    peer, _ = script.build(3, 2)
    with torch.no_grad():
        for parameter in peer.parameters():
            parameter += 0.1
    with pytest.raises(AssertionError, match="not close"):
        script.peer_steps(head, peer, data, 1)


def test_adapter_steps(load: Load, tiny_encoder: Path) -> None:
    script = load("adapter_steps")
    record = script.measure(str(tiny_encoder), script.methods([8, 4]), batch=2, tokens=4, rounds=1)
    trained = {each["method"]: each["parameters"] for each in record}
    assert trained[script.BASELINE] == 2 * 8 * (32 + 32)
    assert trained["QuanTA, zero start"] == trained["QuanTA, frozen start"] == 2 * 32**2
    assert trained["the whole encoder"] > 4 * 2 * 32**2
    assert f"| {script.BASELINE} | 1,024 |" in script.table(record)
    assert record[0]["ratio"] == 1


def test_submission_speed(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    script = load("submission_speed")
    for name, size in {"QUBITS": 2, "BATCH": 3, "TIMES": 1, "PART_SAMPLES": 2, "PART_CIRCUITS": 4}.items():
        monkeypatch.setattr(script, name, size)
    record = script.measure("aer")
    assert record["submissions"] == 1
    assert record["circuits"] == record["circuits_by_formula"] > 3
    assert "a training step: 1 submission of " in script.table(record)
    with pytest.raises(SystemExit, match="runs nothing on Aer"):
        script.measure("statevector")


def turned(work: Any) -> Any:
    return dataclasses.replace(work, features=work.features + 0.1)


def test_pennylane_device(
    load: Load, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script = load("pennylane_device")
    words = ["--circuit", "rot-ring", "--qubits", "3", "--batch", "2", "--seconds", "0"]
    monkeypatch.setattr(sys, "argv", ["pennylane_device.py", *words])
    script.main()
    lines = capsys.readouterr().out.splitlines()[1:]
    assert [line[8:32].strip() for line in lines] == [
        "default.qubit",
        "lightning.qubit",
        "hybridqies.statevector",
        "without PennyLane",
    ]
    other = script.default_qubit.prepare
    monkeypatch.setattr(script.lightning, "prepare", lambda work: other(turned(work)))
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        script.main()


class TestFewShot:
    SMALL: dict[str, Any] = {"n_qubits": 2, "encoders": 1, "reuploads": 1, "training.epochs": 1}  # noqa: RUF012

    @pytest.fixture
    def script(
        self,
        load: Load,
        reviews: Path,
        encoder: Encoder,
        own_cache: Path,
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
    ) -> Any:
        """With the tiny encoder, one task of 12 rows a class, one set of options, and two seeds."""
        script = load("few_shot")
        monkeypatch.setattr(Encoder, "load", lambda *_, **__: encoder)
        (tmp_path / "sst2").mkdir()
        rows = reviews.read_text().splitlines(keepends=True)
        for name, part in {"train": rows[1:61], "validation": rows[61:81], "test": rows[81:]}.items():
            (tmp_path / "sst2" / f"{name}.csv").write_text(rows[0] + "".join(part))
        for name, value in {
            "PER_CLASS": {"sst2": 12},
            "CANDIDATES": {"sst2": {"small": self.SMALL}},
            "CHOSEN": {"sst2": "small"},
            "VARIANTS": {"2 encoders": {"encoders": 2}},
            "TUNING_SEEDS": (100,),
            "ABLATION_SEEDS": (0, 1),
            "FOLDS": 3,
            "ProcessPoolExecutor": InThisProcess,
        }.items():
            monkeypatch.setattr(script, name, value)
        return script

    def call(self, script: Any, part: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        words = [part, "--data-folder", str(folder), "--out", str(folder / "out"), "--tasks", "sst2"]
        monkeypatch.setattr(sys, "argv", ["few_shot.py", *words])
        script.main()

    def test_choose(
        self,
        script: Any,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        self.call(script, "choose", tmp_path, monkeypatch)
        table = capsys.readouterr().out
        assert [line.split(" | ")[1] for line in table.splitlines()[2:]] == ["logistic", "small"]
        record = json.loads((tmp_path / "out" / "choose" / "sst2" / "small" / "draw-100.json").read_text())
        assert [fold["texts"] for fold in record["folds"]] == [8, 8, 8]
        self.call(script, "choose", tmp_path, monkeypatch)
        assert capsys.readouterr().out == table

    def test_ablate(
        self,
        script: Any,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        self.call(script, "ablate", tmp_path, monkeypatch)
        rows = capsys.readouterr().out.splitlines()[2:]
        assert [row.split(" | ")[1] for row in rows] == ["2 encoders", "chosen"]
        records = [
            json.loads((tmp_path / "out/ablate/sst2" / name / "seed-1" / "config.json").read_text())
            for name in ("chosen", "2 encoders")
        ]
        assert [record["run"]["settings"]["encoders"] for record in records] == [1, 2]


def test_convolutions(load: Load, tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    import numpy as np

    script, draw = load("convolutions"), np.random.default_rng(0)
    arrays: dict[str, Any] = {}
    for part, rows in (("train", 40), ("test", 20)):
        arrays[f"x_{part}"] = draw.integers(0, 256, (rows, 32, 32, 3), dtype=np.uint8)
        arrays[f"y_{part}"] = np.arange(rows) % 10
    np.savez(tmp_path / "images.npz", **arrays)
    assert sum(each.numel() for each in script.Network().parameters()) == 242_474
    monkeypatch.setattr(script, "CHANNELS", (3, 4, 8, 8, 8))
    monkeypatch.setattr(script, "METHODS", ["tucker", "oh|iw"])
    monkeypatch.setattr(script, "TOGETHER", ["oh|iw"])
    words = ["convolutions", str(tmp_path / "images.npz"), "--epochs", "1", "--recovery", "1"]
    monkeypatch.setattr(sys, "argv", words)
    with torch.random.fork_rng():
        script.main()
    printed = capsys.readouterr().out
    assert printed.startswith("1,694 parameters, 1 epochs: ")
    assert printed.count(r"| `oh\|iw` |") == 2


def test_light_cones(load: Load, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    script = load("light_cones")
    flags = ["light_cones.py", "--qubits", "16", "--batch", "2", "--steps", "1", "--layers", "2"]
    monkeypatch.setattr(sys, "argv", flags)
    assert script.main() == 0
    assert "2 | 16 light cones of up to 5 qubits, in place of " in capsys.readouterr().out
    monkeypatch.setattr(script, "TOLERANCE", -1.0)
    assert script.main() == 1


def test_scaling_fits(load: Load) -> None:
    script = load("scaling_fits")
    shares, _ = script.coverage("four-sizes", 1, 50, 0.003)
    assert shares == {"E": 1.0, "A": 1.0, "alpha": 1.0}
    assert set(script.false_alarms(1, 50, 0.003).values()) == {0.0}


def test_language_model_speed(load: Load, capsys: pytest.CaptureFixture[str]) -> None:
    script = load("language_model_speed")
    sizes = [
        "--width",
        "16",
        "--layers",
        "1",
        "--heads",
        "2",
        "--context",
        "8",
        "--batch",
        "2",
        "--rounds",
        "1",
    ]
    script.main(["--arms", "real,entangled", *sizes])
    names = [
        "nanoGPT",
        "nanoGPT, same parts",
        "transformers GPT-2",
        "hybridqies real",
        "hybridqies entangled",
    ]
    assert [line[:24].rstrip() for line in capsys.readouterr().out.splitlines()] == names


def test_tuned_layers(load: Load, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("peft", reason="needs the extra adapters")
    texts = [
        "--train",
        str(write_text(tmp_path / "train.txt")),
        "--test",
        str(write_text(tmp_path / "test.txt")),
    ]
    sizes = ["--width", "8", "--windows", "4", "--choose", "2", "--steps", "2", "--blocks", "model.layers.1"]
    lora = ["--lora-blocks", "1", "--seeds", "1", "--rates", "0.01", "0.02"]
    load("tuned_layers").main([str(write_model(tmp_path / "model")), *texts, *sizes, *lora])
    shown = capsys.readouterr().out
    assert shown.count("same logits before") == 3 * 2
    assert shown.count("chosen") == 3
    assert "OTHER" not in shown


def test_growth_of_lattices(
    load: Load, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script = load("lattice_speed")
    monkeypatch.setattr(script, "GROWTH", (("127", 2, 2), ("127", 3, 2)))
    monkeypatch.setattr(sys, "argv", ["lattice_speed.py", "--growth", "--times", "1", "--json"])
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.setenv(name, "1")  # the script sets them, too
    script.main()
    first, second = json.loads(capsys.readouterr().out)["rows"]
    assert (first["chi"], first["steps"], second["steps"]) == (2, 2, 3)
    assert 0 < first["work"] < second["work"]
    assert script.growth_table({"rows": [first, second]}).count("\n") == 2
