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

from hybridqies import figures
from hybridqies.errors import ModelFolderError
from hybridqies.figures import save
from hybridqies.options import to_mapping
from hybridqies.records import write_lines, write_record
from hybridqies.report import comparison_table, evaluation_tables, write_pictures
from hybridqies.report.confusion import draw_confusion
from hybridqies.report.pictures import training_curve
from hybridqies.report.words import head_label, percent
from hybridqies.runs import DataOptions, RunConfig, execute, prepare
from hybridqies.tasks.metric import ACCURACY, MACRO_F1
from hybridqies.training import TrainingConfig, measure_classes, record_confusion


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
        "confusion": record_confusion(counts),
        "per_class": measure_classes(counts, classes),
        "classes": classes,
        "data_fingerprint": "d",
        "encoder_fingerprint": "e",
    } | changes


def shown(*renderables: Any, width: int = 120) -> list[str]:
    console = Console(width=width, file=io.StringIO())
    console.print(*renderables)
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined]


class TestTables:
    def comparison(self) -> dict[str, Any]:
        classical = result(["a", "b"], head="logistic", circuit=None, n_qubits=None, n_parameters=769)
        return {
            "data": {"name": "sst2", "rows": {"train": 435, "validation": 77, "test": 9101}},
            "metrics": [to_mapping(ACCURACY), to_mapping(MACRO_F1)],
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
        text = "\n".join(shown(*evaluation_tables(record)))
        for part in ("sms / test", "97.12 %", "90.00 %", "1.10 %", "0.1235", "ham", "spam"):
            assert part in text

    @pytest.mark.parametrize("n_classes", [11, 77, 300])
    def test_evaluation_with_many_classes(self, n_classes: int) -> None:
        record = result(
            [f"intent {at}" for at in range(n_classes)],
            data="intents",
            split="test",
            log_loss=0.1,
            calibration_error=0.0,
        )
        lines = shown(*evaluation_tables(record))
        assert max(map(len, lines)) <= 120
        assert len(lines) < 150
        # The largest number beside the diagonal stands in the row of the last class.
        largest = n_classes * n_classes - 2
        top = next(line for line in lines if f"intent {n_classes - 2}" in line and f"{largest:,}" in line)
        assert f"intent {n_classes - 1}" in top
        assert any("with the lowest F1" in line for line in lines) == (n_classes > 80)

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
    "letters that no font has": ["日本語", "中文", "👍 emoji", "cut\x1b[31m", "a\nb", "\ud800", ""],
}


@pytest.mark.parametrize("case", NAMES)
def test_confusion_matrix(case: str, tmp_path: Path) -> None:
    figure = draw_confusion(result(NAMES[case]))
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
    least = 0 if n <= 20 else n * n - 400
    assert [text.get_text() for text in axes.texts] == [f"{count:,}" for count in range(least, n * n)]
    box = figure.get_tightbbox()
    assert box.x0 > -0.2
    assert box.y0 > -0.2


def test_names_that_cannot_be_drawn_are_numbers_or_escapes() -> None:
    figure = draw_confusion(result(NAMES["letters that no font has"]))
    names = [tick.get_text() for tick in figure.axes[0].get_yticklabels()]
    # Number 0 and 1 where the machine has no such font, as in the tests' own environment or not.
    assert names[0] in ("class 0", "日本語")
    assert names[3:] == [r"cut\x1b[31m", r"a\nb", r"\ud800", ""]
    assert ("classes by their number" in figure.get_suptitle()) == (names[0] == "class 0")


def make_font(path: Path, letters: str) -> None:
    """A font of the letters, each a triangle."""
    from fontTools.fontBuilder import FontBuilder
    from fontTools.pens.ttGlyphPen import TTGlyphPen

    pen = TTGlyphPen(None)
    for move, point in ((pen.moveTo, (0, 0)), (pen.lineTo, (500, 0)), (pen.lineTo, (250, 700))):
        move(point)
    pen.closePath()
    names = [".notdef", *(f"letter{ord(letter):x}" for letter in letters)]
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder(names)
    builder.setupCharacterMap({ord(letter): name for letter, name in zip(letters, names[1:], strict=True)})
    builder.setupGlyf(dict.fromkeys(names, pen.glyph()))
    builder.setupHorizontalMetrics(dict.fromkeys(names, (600, 0)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": "Own Letters", "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(path)


def test_a_font_that_has_the_letters_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib import font_manager

    make_font(tmp_path / "own.ttf", "日本語")
    own = font_manager.FontEntry(fname=str(tmp_path / "own.ttf"), name="Own Letters")
    monkeypatch.setattr(font_manager.fontManager, "ttflist", [own, *font_manager.fontManager.ttflist])
    figures._font_with.cache_clear()
    try:
        figure = draw_confusion(result(["日本語", "plain"]))
        with warnings.catch_warnings():
            # matplotlib says so where a font lacks a letter.
            warnings.simplefilter("error")
            save(figure, tmp_path / "c.png")
    finally:
        figures._font_with.cache_clear()
    labels = figure.axes[0].get_yticklabels()
    assert [label.get_text() for label in labels] == ["日本語", "plain"]
    assert [label.get_fontfamily()[-1] == "Own Letters" for label in labels] == [True, False]


def many(counts: np.ndarray) -> dict[str, Any]:
    """A result with so many classes that have names, and counts (K, K)."""
    names = [f"label {at}" for at in range(len(counts))]
    return result(["a"]) | {"classes": names, "confusion": record_confusion(counts)}


def test_pictures_of_many_classes_stay_small(tmp_path: Path) -> None:
    found = many(np.eye(2300, dtype=int))
    figure = draw_confusion(found)
    assert figure.get_suptitle().endswith("the 80 of 2,300 classes with the most mistakes")
    assert max(figure.get_size_inches()) < 25
    assert len(json.dumps(found["confusion"])) < 100_000


def test_the_most_mistaken_classes_are_drawn() -> None:
    counts = np.diag(np.full(300, 9))
    counts[7, 250] = 3
    found = many(counts)
    names = [tick.get_text() for tick in draw_confusion(found).axes[0].get_yticklabels()]
    assert len(names) == 80
    assert {"label 7", "label 250"} <= set(names)


@pytest.mark.parametrize("validated", [True, False])
def test_training_curve(validated: bool, tmp_path: Path) -> None:
    more = {"validation_log_loss": 0.5, "validation_accuracy": 0.75} if validated else {}
    history = [{"epoch": at, "train_loss": 1 / at} | more for at in (1, 2, 3)]
    figure = training_curve(history, result(["a", "b"], circuit="long " * 40), ACCURACY)
    figure.savefig(tmp_path / "c.png", dpi=40)
    assert len(figure.axes) == (2 if validated else 1)
    losses = figure.axes[0].get_lines()
    assert np.asarray(losses[0].get_ydata()).tolist() == pytest.approx([1, 1 / 2, 1 / 3])
    assert list(np.asarray(losses[-1].get_xdata())) == [2, 2]
    if validated:
        assert list(np.asarray(figure.axes[1].get_lines()[0].get_ydata())) == [75.0] * 3


def test_write_pictures(reviews: Path, tiny_encoder: Path, own_cache: Path, tmp_path: Path) -> None:
    config = RunConfig(
        data=DataOptions(str(reviews)),
        encoder=str(tiny_encoder),
        n_qubits=3,
        compare=("logistic",),
        training=TrainingConfig(epochs=2),
    )
    execute(prepare(config), tmp_path / "run")
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


@pytest.mark.parametrize("spoil", ["missing", "result.json", "metrics.jsonl"])
def test_no_finished_run(spoil: str, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    write_record(folder / "result.json", result(["a", "b"]))
    write_lines(folder / "metrics.jsonl", [{"epoch": 1}])
    if spoil in ("result.json", "metrics.jsonl"):
        (folder / spoil).write_text("{")
    if spoil == "missing":
        shutil.rmtree(folder)
    said = r"result\.json' (cannot be read|is truncated)|line 1 of training record"
    with pytest.raises(ModelFolderError, match=said):
        write_pictures(folder)
    assert not list(tmp_path.rglob("*.png"))
