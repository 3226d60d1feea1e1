"""A run: one protocol for every arm, everything recorded, nothing half-written."""

from __future__ import annotations

import dataclasses
import math
import platform
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from hybridqies import HybridClassifier
from hybridqies.errors import DataError, InputError, ModelFolderError, UnknownNameError
from hybridqies.options import from_mapping, to_mapping
from hybridqies.records import read_record
from hybridqies.runs import (
    DataOptions,
    Hooks,
    PreparedRun,
    RunConfig,
    evaluate_run,
    execute,
    prepare,
    recorded_config,
    start_run,
)
from hybridqies.runs.mistakes import read_mistakes
from hybridqies.tasks import Splits, load_task
from hybridqies.text import Examples
from hybridqies.training import TrainingConfig

pytestmark = pytest.mark.usefixtures("own_cache")
QUICK = TrainingConfig(epochs=2, learning_rate=0.05)


@pytest.fixture
def config(reviews: Path, tiny_encoder: Path) -> RunConfig:
    return RunConfig(
        data=DataOptions(str(reviews)),
        encoder=str(tiny_encoder),
        head="dressed",
        n_qubits=3,
        compare=("logistic", "matched-mlp"),
        training=QUICK,
    )


def train(config: RunConfig, folder: Path, **given: Any) -> dict[str, Any]:
    """A run from its beginning to its end."""
    prepared = prepare(config)
    start_run(prepared, folder)
    return execute(prepared, folder, **given)


def drawn(options: DataOptions, encoder: Path, seed: int = 0) -> Splits[Examples]:
    return load_task("text-classification").load(options, str(encoder), "cpu").draw(seed)


class TestSplits:
    def test_missing_splits_are_drawn(self, reviews: Path, tiny_encoder: Path) -> None:
        data = drawn(DataOptions(str(reviews)), tiny_encoder)
        assert {name: len(part) for name, part in data.named().items()} == {
            "train": 78,
            "validation": 18,
            "test": 24,
        }

    def test_few_shot(self, reviews: Path, tiny_encoder: Path) -> None:
        data = drawn(DataOptions(str(reviews), per_class=20, validation_fraction=0.25), tiny_encoder)
        assert {name: len(part) for name, part in data.named().items()} == {
            "train": 30,
            "validation": 10,
            "test": 80,
        }

    def test_another_seed_is_another_draw(self, reviews: Path, tiny_encoder: Path) -> None:
        first, again, other = (drawn(DataOptions(str(reviews)), tiny_encoder, seed) for seed in (0, 0, 1))
        assert first == again != other

    @pytest.mark.parametrize("name", ["validation", "test"])
    def test_a_split_without_texts_is_refused(self, name: str, reviews: Path, tiny_encoder: Path) -> None:
        options = DataOptions(str(reviews), **{f"{name}_fraction": 0.0})  # type: ignore[arg-type]
        with pytest.raises(DataError, match=f"reviews leaves no {name} texts; .* a {name} fraction above 0"):
            drawn(options, tiny_encoder)


class TestExecute:
    def test_everything_is_recorded(self, config: RunConfig, tmp_path: Path) -> None:
        folder = tmp_path / "run"
        stages: list[tuple[str, int]] = []
        epochs: list[dict[str, Any]] = []
        hooks = Hooks(on_stage=lambda *given: stages.append(given), on_epoch=epochs.append)
        comparison = train(config, folder, hooks=hooks)
        assert comparison == read_record(folder / "comparison.json")
        assert [result["head"] for result in comparison["results"]] == ["dressed", "logistic", "matched-mlp"]
        main, logistic, matched = comparison["results"]
        assert main == read_record(folder / "result.json")
        for name, result in (("logistic", logistic), ("matched-mlp", matched)):
            arm = folder / "compare" / name
            assert result == read_record(arm / "result.json")
            assert (arm / "model.safetensors").is_file()
            mistakes = read_mistakes(arm)
            assert mistakes is not None
            assert len(mistakes["wrong"]) == round((1 - result["accuracy"]) * result["n_test"])
            assert (result["circuit"], result["backend"], result["n_qubits"]) == (None, None, None)
        assert (main["circuit"], main["backend"], main["n_qubits"]) == (
            "long-range-reupload",
            "statevector",
            3,
        )
        assert f"target {main['n_parameters']}," in matched["note"]
        assert comparison["versions"]["python"] == platform.python_version()
        assert comparison["data"]["rows"] == {"train": 78, "validation": 18, "test": 24}
        assert [stage[0] for stage in stages] == [
            "embedding",
            "training dressed",
            "training logistic",
            "training matched-mlp",
        ]
        assert [record["epoch"] for record in epochs] == [1, 2, 1, 2]
        assert [path for path in folder.rglob("*") if path.name.startswith(".")] == []

    def test_every_arm_sees_the_same_rows(self, config: RunConfig, tmp_path: Path) -> None:
        comparison = train(config, tmp_path / "run")
        for key in ("n_train", "n_validation", "n_test", "data_fingerprint", "encoder_fingerprint", "seed"):
            assert len({result[key] for result in comparison["results"]}) == 1

    def test_a_result_is_measured_once_and_again_the_same(self, config: RunConfig, tmp_path: Path) -> None:
        folder = tmp_path / "run"
        result = train(dataclasses.replace(config, compare=()), folder)["results"][0]
        for split, prefix in (("test", ""), ("validation", "validation_")):
            measured = evaluate_run(folder, None, split)
            for name in ("accuracy", "macro_f1", "log_loss", "calibration_error", "confusion"):
                assert measured[name] == result[prefix + name]
        assert evaluate_run(folder, None, "train")["n_test"] == result["n_train"] == 78

    def test_finished_arms_are_kept_when_resumed(self, config: RunConfig, tmp_path: Path) -> None:
        folder = tmp_path / "run"
        first = train(config, folder)
        stages: list[str] = []
        hooks = Hooks(on_stage=lambda name, _: stages.append(name))
        again = execute(prepare(config), folder, resume=True, hooks=hooks)
        assert again == first
        assert stages == ["embedding"]

    @pytest.mark.parametrize(
        ("names", "said"),
        [
            (("result.json",), "is not the file that result.json was written with"),
            (("metrics.jsonl",), "metrics.jsonl' is not the file that result.json was written with"),
            (
                (
                    "result.json",
                    "config.json",
                    "model.safetensors",
                    "trained_on.json",
                    "metrics.jsonl",
                    "mistakes.json",
                ),
                "holds a model or a result that is not this run's 'logistic'",
            ),
        ],
    )
    def test_files_of_another_run_are_not_taken_for_its_own(
        self, names: tuple[str, ...], said: str, config: RunConfig, tmp_path: Path
    ) -> None:
        """Every file is whole, and of the same data and encoder; only the options differ."""
        own = dataclasses.replace(config, head="logistic", n_qubits=None, compare=("svc",))
        train(own, tmp_path / "run")
        other = dataclasses.replace(own, settings={"C": 0.01})
        train(other, tmp_path / "other")
        for name in names:
            shutil.copy(tmp_path / "other" / name, tmp_path / "run" / name)
        with pytest.raises(ModelFolderError, match=said):
            execute(prepare(own), tmp_path / "run", resume=True)

    def test_mistakes_that_were_altered_are_refused(self, config: RunConfig, tmp_path: Path) -> None:
        own = dataclasses.replace(config, head="logistic", n_qubits=None, compare=())
        train(own, tmp_path / "run")
        path = tmp_path / "run" / "mistakes.json"
        path.write_text(path.read_text().replace("24", "25", 1))
        with pytest.raises(ModelFolderError, match=r"mistakes\.json' is not the file that result\.json"):
            execute(prepare(own), tmp_path / "run", resume=True)

    def test_arms_cannot_be_exchanged(self, config: RunConfig, tmp_path: Path) -> None:
        own = dataclasses.replace(config, head="logistic", n_qubits=None, compare=("svc", "mlp"))
        train(own, tmp_path / "run")
        arms = tmp_path / "run" / "compare"
        (arms / "svc").rename(arms / "other")
        (arms / "mlp").rename(arms / "svc")
        (arms / "other").rename(arms / "mlp")
        with pytest.raises(ModelFolderError, match="holds a model or a result that is not this run's 'svc'"):
            execute(prepare(own), tmp_path / "run", resume=True)

    def test_leftovers_of_a_kill_do_not_matter(self, config: RunConfig, tmp_path: Path) -> None:
        folder = tmp_path / "run"
        start_run(prepare(config), folder)
        (folder / ".checkpoint-0123456789ab.safetensors").write_bytes(b"half")
        (folder / ".config-0123456789ab.json").write_bytes(b"{")
        execute(prepare(config), folder, resume=True)
        assert not [path.name for path in folder.iterdir() if path.name[0] == "."]


class TestRefusal:
    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"head": "dresed"}, "did you mean 'dressed'?"),
            ({"compare": ("logistik",)}, "did you mean 'logistic'?"),
            ({"compare": ("dressed",)}, "head 'dressed' was to be compared with itself"),
            ({"backend": "statevektor"}, "did you mean 'statevector'?"),
            ({"circuit": "iqb"}, "unknown circuit 'iqb'"),
            ({"settings": {"layer": 2}}, "did you mean 'layers'?"),
            ({"head": "logistic", "compare": ()}, "head 'logistic' was given n_qubits, and has no circuit"),
            ({"settings": {"n_qubits": 5}}, "'n_qubits' was given twice"),
            ({"settings": {"cache": "x"}}, "unknown setting of head 'dressed': 'cache'"),
            ({"n_qubits": 60}, "has 60 qubits, too many for backend 'statevector'"),
            ({"n_qubits": 0}, "0 qubits"),
            ({"device": "tpu"}, "device 'tpu'; expected cpu, cuda"),
            ({"n_qubits": None, "settings": {"n_qubits": 99}}, "99 qubits"),
        ],
        ids=str,
    )
    def test_before_anything_is_made(
        self, change: dict[str, Any], said: str, config: RunConfig, tmp_path: Path
    ) -> None:
        with pytest.raises(InputError) as caught:
            prepare(dataclasses.replace(config, **change))
        assert said in str(caught.value)
        assert list(tmp_path.iterdir()) == []

    def test_a_run_without_a_finished_epoch_is_taken_back(self, config: RunConfig, tmp_path: Path) -> None:
        folder = tmp_path / "run"
        diverging = dataclasses.replace(config, training=TrainingConfig(epochs=2, learning_rate=100.0))
        prepared = prepare(diverging)
        spoil(prepared)
        start_run(prepared, folder)
        with pytest.raises(InputError, match="features hold NaN"):
            execute(prepared, folder)
        assert not folder.exists()

    def test_files_of_others_are_never_taken_back(self, config: RunConfig, tmp_path: Path) -> None:
        folder = tmp_path / "run"
        folder.mkdir()
        (folder / "notes.txt").write_text("mine")
        prepared = prepare(config)
        spoil(prepared)
        with pytest.raises(InputError, match="features hold NaN"):
            execute(prepared, folder)
        assert [path.name for path in folder.iterdir()] == ["notes.txt"]


def spoil(prepared: PreparedRun) -> None:
    """Makes the first step of the run's own model fail."""
    with torch.no_grad():
        next(iter(prepared.arm.model.parameters())).fill_(math.nan)


class TestFolder:
    def test_a_config_comes_back(self, config: RunConfig, tmp_path: Path) -> None:
        full = dataclasses.replace(config, circuit="iqp", settings={"layers": 3, "pairs": "ring"})
        start_run(prepare(full), tmp_path / "run")
        assert recorded_config(tmp_path / "run") == full
        assert from_mapping(RunConfig, to_mapping(full), what="run option") == full

    def test_what_is_there_stays(self, config: RunConfig, tmp_path: Path) -> None:
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "notes.txt").write_text("")
        with pytest.raises(InputError, match="is not empty; expected a new folder; choose another --out, or"):
            start_run(prepare(config), tmp_path / "mine")
        with pytest.raises(InputError, match="is no run and will not be overwritten"):
            start_run(prepare(config), tmp_path / "mine", overwrite=True)
        assert (tmp_path / "mine" / "notes.txt").is_file()
        with pytest.raises(InputError, match="is a file; expected a new folder"):
            start_run(prepare(config), tmp_path / "mine" / "notes.txt")

    def test_an_empty_folder_is_new_and_a_run_is_overwritten_on_demand(
        self, config: RunConfig, tmp_path: Path
    ) -> None:
        start_run(prepare(config), tmp_path)
        (tmp_path / "old.png").write_bytes(b"")
        start_run(prepare(dataclasses.replace(config, n_qubits=4)), tmp_path, overwrite=True)
        assert recorded_config(tmp_path).n_qubits == 4
        assert [path.name for path in tmp_path.iterdir()] == ["config.json"]

    def test_no_run(self, tmp_path: Path) -> None:
        with pytest.raises(ModelFolderError, match=r"holds no config\.json"):
            recorded_config(tmp_path)

    def test_a_model_without_a_run(
        self, tiny_encoder: Path, sentences: Callable[[int], tuple[list[str], list[str]]], tmp_path: Path
    ) -> None:
        HybridClassifier(tiny_encoder, "logistic").fit(*sentences(20)).save_pretrained(tmp_path)
        with pytest.raises(ModelFolderError, match="holds a model but no run to resume"):
            recorded_config(tmp_path)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, tiny_encoder: Path, cache_folder: Path) -> Path:
    """A model whose labels are strings that in part read as integers."""
    file = tmp_path_factory.mktemp("data") / "mixed.csv"
    file.write_text(
        "text,label\n"
        + "".join(f"a {'sea ' * (n // 2)}{('film', 'winter')[n % 2]},{'12x'[n % 3]}\n" for n in range(30))
    )
    folder = tmp_path_factory.mktemp("runs") / "run"
    config = RunConfig(
        data=DataOptions(str(file)), encoder=str(tiny_encoder), head="logistic", compare=(), training=QUICK
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HYBRIDQIES_CACHE", str(cache_folder))
        train(config, folder)
    return folder


class TestEvaluate:
    def test_other_data(self, run: Path, tmp_path: Path) -> None:
        file = tmp_path / "part.csv"
        file.write_text("text,label\nthe sea,1\nthe winter,2\nold friends,1\n")
        record = evaluate_run(run, DataOptions(str(file)), "train")
        assert record["n_test"] == 3
        assert record["classes"] == ["1", "2", "x"]
        assert sum(map(sum, record["confusion"])) == 3

    def test_a_label_never_seen(self, run: Path, tmp_path: Path) -> None:
        file = tmp_path / "part.csv"
        file.write_text("text,label\nthe sea,1\nthe winter,9\n")
        with pytest.raises(DataError, match="label '9' was never seen in training; expected one of"):
            evaluate_run(run, DataOptions(str(file)), "train")

    def test_a_split_that_is_not_there(self, run: Path, tmp_path: Path) -> None:
        file = tmp_path / "part.csv"
        file.write_text("text,label\nthe sea,1\nthe winter,2\n")
        # A single file is whatever split its user calls it.
        assert evaluate_run(run, DataOptions(str(file)), "test")["n_test"] == 2
        with pytest.raises(UnknownNameError, match="did you mean 'validation'"):
            evaluate_run(run, None, "valid")

    def test_another_backend(self, run: Path) -> None:
        assert evaluate_run(run, None, "test", backend="statevector")["backend"] is None
        with pytest.raises(UnknownNameError, match="unknown backend 'nowhere'"):
            evaluate_run(run, None, "test", backend="nowhere")
