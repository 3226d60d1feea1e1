"""Tables and pictures from recorded results, whatever the classes are called."""

from __future__ import annotations

import io
import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from hybridqies.errors import ModelFolderError
from hybridqies.report import comparison_table, evaluation_table, write_pictures
from hybridqies.report.pictures import confusion_matrix, training_curve
from hybridqies.report.tables import head_label, percent
from hybridqies.runs import DataOptions, RunConfig, execute
from hybridqies.training import TrainingConfig


def result(classes: list[Any], **changes: Any) -> dict[str, Any]:
    counts = np.arange(len(classes) ** 2).reshape(len(classes), -1)
    return {
        "head": "two-module",
        "circuit": "long-range-reupload",
        "n_qubits": 14,
        "n_parameters": 1234,
        "validation_accuracy": 0.5,
        "accuracy": 0.97123,
        "macro_f1": 0.9,
        "seconds": 12.34,
        "best_epoch": 2,
        "n_test": int(counts.sum()),
        "confusion": counts.tolist(),
        "classes": classes,
    } | changes


def shown(*renderables: Any, width: int = 120) -> list[str]:
    console = Console(width=width, file=io.StringIO())
    console.print(*renderables)
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined,no-any-return]


class TestTables:
    def comparison(self) -> dict[str, Any]:
        classical = result(["a", "b"], head="logistic", circuit=None, n_qubits=None, n_parameters=769)
        return {
            "data": {"name": "sst2", "rows": {"train": 435, "validation": 77, "test": 9101}},
            "results": [result(["a", "b"]), classical],
        }

    def test_one_row_a_head(self) -> None:
        lines = shown(comparison_table(self.comparison()))
        assert lines[0].rstrip() == "sst2: 435 train, 77 validation, 9101 test"
        rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines if line.startswith("│")]
        assert rows == [
            ["two-module (long-range-reupload, 14 qubits)", "1,234", "50.00 %", "97.12 %", "90.00 %", "12.3"],
            ["logistic", "769", "50.00 %", "97.12 %", "90.00 %", "12.3"],
        ]

    def test_a_narrow_terminal(self) -> None:
        lines = shown(comparison_table(self.comparison()), width=80)
        assert max(map(len, lines)) == 80
        assert "97.12 %" in "".join(lines)

    def test_evaluation(self) -> None:
        record = result(["ham", "spam"], data="sms", split="test", log_loss=0.12345, calibration_error=0.011)
        text = "\n".join(shown(*evaluation_table(record)))
        for part in ("sms / test", "97.12 %", "90.00 %", "1.10 %", "0.1235", "ham", "spam"):
            assert part in text

    def test_words(self) -> None:
        assert percent(0.123456) == "12.35 %"
        assert head_label(result(["a", "b"])) == "two-module (long-range-reupload, 14 qubits)"
        assert head_label(result(["a", "b"], circuit=None, head="svc")) == "svc"


NAMES: dict[str, list[Any]] = {
    "short": ["ham", "spam"],
    "integers": [0, 1, 2],
    "six long": [f"a class with a very long name indeed, number {n}" for n in range(6)],
    "dollars": ["$0 \\frac $x", "_^{"],
    "77": [f"intent {n}" for n in range(77)],
}


@pytest.mark.parametrize("case", NAMES)
def test_confusion_matrix(case: str, tmp_path: Path) -> None:
    figure = confusion_matrix(result(NAMES[case]))
    with warnings.catch_warnings():
        # matplotlib says so where labels leave no room for the axes.
        warnings.simplefilter("error")
        figure.savefig(tmp_path / "c.png", dpi=40)
    axes = figure.axes[0]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == [
        tick.get_text() for tick in axes.get_yticklabels()
    ]
    assert axes.get_window_extent().width > 60
    n = len(NAMES[case])
    assert [text.get_text() for text in axes.texts] == (
        [f"{count:,}" for count in range(n * n)] if n <= 20 else []
    )
    box = figure.get_tightbbox()
    assert box.x0 > -0.2
    assert box.y0 > -0.2


@pytest.mark.parametrize("validated", [True, False])
def test_training_curve(validated: bool, tmp_path: Path) -> None:
    more = {"validation_log_loss": 0.5, "validation_accuracy": 0.75} if validated else {}
    history = [{"epoch": at, "train_loss": 1 / at} | more for at in (1, 2, 3)]
    figure = training_curve(history, result(["a", "b"], circuit="long " * 40))
    figure.savefig(tmp_path / "c.png", dpi=40)
    assert len(figure.axes) == (2 if validated else 1)
    losses = figure.axes[0].get_lines()
    assert losses[0].get_ydata().tolist() == pytest.approx([1, 1 / 2, 1 / 3])
    assert list(losses[-1].get_xdata()) == [2, 2]
    if validated:
        assert list(figure.axes[1].get_lines()[0].get_ydata()) == [75.0] * 3


def test_write_pictures(reviews: Path, tiny_encoder: Path, own_cache: Path, tmp_path: Path) -> None:
    config = RunConfig(
        data=DataOptions(str(reviews)),
        encoder=str(tiny_encoder),
        n_qubits=3,
        compare=("logistic",),
        training=TrainingConfig(epochs=2),
    )
    execute(config, tmp_path / "run")
    written = {path.name for path in write_pictures(tmp_path / "run")}
    assert written == {
        "training_curve.png",
        "confusion_matrix.png",
        "circuit.txt",
        "circuit.png",
        "encoder_circuit.txt",
        "encoder_circuit.png",
    }
    for name in written:
        content = (tmp_path / "run" / name).read_bytes()
        assert content.startswith(b"\x89PNG") if name.endswith(".png") else content.decode().strip()
    arm = tmp_path / "run" / "compare" / "logistic"
    assert [path.name for path in write_pictures(arm)] == ["confusion_matrix.png"]


@pytest.mark.parametrize("spoil", ["missing", "result", "metrics"])
def test_no_finished_run(spoil: str, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "result.json").write_text(json.dumps(result(["a", "b"])) if spoil != "result" else "{")
    (folder / "metrics.jsonl").write_text('{"epoch": 1}\n' if spoil != "metrics" else "{}\n")
    if spoil == "missing":
        shutil.rmtree(folder)
    with pytest.raises(ModelFolderError, match=r"holds no finished run|line 1 of training record .* damaged"):
        write_pictures(folder)
    assert not list(tmp_path.rglob("*.png"))
