"""A run: one protocol for every arm, everything recorded, nothing half-written."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from hybridqies.errors import DataError, InputError, ModelFolderError, UnknownNameError
from hybridqies.options import from_mapping, to_mapping
from hybridqies.runs import (
    DataOptions,
    Hooks,
    RunConfig,
    check,
    evaluate_run,
    execute,
    load_splits,
    recorded_config,
    start_run,
)
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


class TestSplits:
    def test_missing_splits_are_drawn(self, reviews: Path) -> None:
        data = load_splits(DataOptions(str(reviews)), 0)
        assert {name: len(part) for name, part in data.splits().items()} == {
            "train": 78,
            "validation": 18,
            "test": 24,
        }

    def test_few_shot(self, reviews: Path) -> None:
        data = load_splits(DataOptions(str(reviews), per_class=20, validation_fraction=0.25), 0)
        assert {name: len(part) for name, part in data.splits().items()} == {
            "train": 30,
            "validation": 10,
            "test": 80,
        }

    def test_another_seed_is_another_draw(self, reviews: Path) -> None:
        first, again, other = (load_splits(DataOptions(str(reviews)), seed) for seed in (0, 0, 1))
        assert first == again != other

    @pytest.mark.parametrize("name", ["validation", "test"])
    def test_a_split_without_texts_is_refused(self, name: str, reviews: Path) -> None:
        options = DataOptions(str(reviews), **{f"{name}_fraction": 0.0})
        with pytest.raises(DataError, match=f"reviews leaves no {name} texts; .* a {name} fraction above 0"):
            load_splits(options, 0)


class TestExecute:
    def test_everything_is_recorded(self, config: RunConfig, tmp_path: Path) -> None:
        folder = tmp_path / "run"
        stages: list[tuple[str, int]] = []
        epochs: list[dict[str, Any]] = []
        start_run(config, folder)
        comparison = execute(
            config, folder, hooks=Hooks(on_stage=lambda *given: stages.append(given), on_epoch=epochs.append)
        )
        assert comparison == json.loads((folder / "comparison.json").read_text())
        assert [result["head"] for result in comparison["results"]] == ["dressed", "logistic", "matched-mlp"]
        main, logistic, matched = comparison["results"]
        assert main == json.loads((folder / "result.json").read_text())
        for name, result in (("logistic", logistic), ("matched-mlp", matched)):
            arm = folder / "compare" / name
            assert result == json.loads((arm / "result.json").read_text())
            assert (arm / "model.safetensors").is_file()
            assert (result["circuit"], result["backend"], result["n_qubits"]) == (None, None, None)
        assert (main["circuit"], main["backend"], main["n_qubits"]) == (
            "long-range-reupload",
            "statevector",
            3,
        )
        assert f"target {main['n_parameters']}," in matched["note"]
        assert comparison["data"]["rows"] == {"train": 78, "validation": 18, "test": 24}
        assert [stage[0] for stage in stages] == [
            "embedding",
            "training dressed",
            "training logistic",
            "training matched-mlp",
        ]
        assert [record["epoch"] for record in epochs] == [1, 2, 1, 2]
        leftovers = [
            path for path in folder.rglob("*") if path.name.startswith(".") or "checkpoint" in path.name
        ]
        assert leftovers == []

    def test_every_arm_sees_the_same_rows(self, config: RunConfig, tmp_path: Path) -> None:
        comparison = execute(config, tmp_path / "run")
        for key in ("n_train", "n_validation", "n_test", "data_fingerprint", "encoder_fingerprint", "seed"):
            assert len({result[key] for result in comparison["results"]}) == 1

    def test_a_result_is_measured_once_and_again_the_same(self, config: RunConfig, tmp_path: Path) -> None:
        folder = tmp_path / "run"
        start_run(config, folder)
        result = execute(dataclasses.replace(config, compare=()), folder)["results"][0]
        for split, prefix in (("test", ""), ("validation", "validation_")):
            measured = evaluate_run(folder, None, split)
            for name in ("accuracy", "macro_f1", "log_loss", "calibration_error", "confusion"):
                assert measured[name] == result[prefix + name]
        assert evaluate_run(folder, None, "train")["n_test"] == result["n_train"] == 78

    def test_finished_arms_are_kept_when_resumed(self, config: RunConfig, tmp_path: Path) -> None:
        folder = tmp_path / "run"
        start_run(config, folder)
        first = execute(config, folder)
        stages: list[str] = []
        again = execute(
            config, folder, resume=True, hooks=Hooks(on_stage=lambda name, _: stages.append(name))
        )
        assert again == first
        assert stages == ["embedding"]

    def test_leftovers_of_a_kill_do_not_matter(self, config: RunConfig, tmp_path: Path) -> None:
        folder = tmp_path / "run"
        start_run(config, folder)
        (folder / ".checkpoint-0123456789ab.safetensors").write_bytes(b"half")
        (folder / ".config-0123456789ab.json").write_bytes(b"{")
        execute(config, folder, resume=True)
        (folder / "checkpoint.safetensors").write_bytes(b"left between two steps")
        execute(config, folder, resume=True)
        assert not [
            path.name for path in folder.iterdir() if path.name[0] == "." or "checkpoint" in path.name
        ]


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
            ({"n_qubits": 60}, "60 qubits were asked of backend 'statevector'; expected at most 28"),
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
            check(dataclasses.replace(config, **change))
        assert said in str(caught.value)
        assert list(tmp_path.iterdir()) == []

    def test_a_run_without_a_finished_epoch_is_taken_back(self, config: RunConfig, tmp_path: Path) -> None:
        folder = tmp_path / "run"
        bad = dataclasses.replace(config, data=DataOptions(str(tmp_path / "none.csv")))
        start_run(bad, folder)
        with pytest.raises(DataError):
            execute(bad, folder)
        assert not folder.exists()

    def test_files_of_others_are_never_taken_back(self, config: RunConfig, tmp_path: Path) -> None:
        folder = tmp_path / "run"
        folder.mkdir()
        (folder / "notes.txt").write_text("mine")
        bad = dataclasses.replace(config, data=DataOptions(str(tmp_path / "none.csv")))
        with pytest.raises(DataError):
            execute(bad, folder)
        assert [path.name for path in folder.iterdir()] == ["notes.txt"]


class TestFolder:
    def test_a_config_comes_back(self, config: RunConfig, tmp_path: Path) -> None:
        full = dataclasses.replace(config, circuit="iqp", settings={"layers": 3, "pairs": "ring"})
        start_run(full, tmp_path / "run")
        assert recorded_config(tmp_path / "run") == full
        assert from_mapping(RunConfig, to_mapping(full), what="run option") == full

    def test_what_is_there_stays(self, config: RunConfig, tmp_path: Path) -> None:
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "notes.txt").write_text("")
        with pytest.raises(InputError, match="is not empty; expected a new folder; choose another --out, or"):
            start_run(config, tmp_path / "mine")
        with pytest.raises(InputError, match="is no run and will not be overwritten"):
            start_run(config, tmp_path / "mine", overwrite=True)
        assert (tmp_path / "mine" / "notes.txt").is_file()
        with pytest.raises(InputError, match="is a file; expected a new folder"):
            start_run(config, tmp_path / "mine" / "notes.txt")

    def test_an_empty_folder_is_new_and_a_run_is_overwritten_on_demand(
        self, config: RunConfig, tmp_path: Path
    ) -> None:
        start_run(config, tmp_path)
        (tmp_path / "old.png").write_bytes(b"")
        start_run(dataclasses.replace(config, n_qubits=4), tmp_path, overwrite=True)
        assert recorded_config(tmp_path).n_qubits == 4
        assert [path.name for path in tmp_path.iterdir()] == ["config.json"]

    def test_no_run(self, tmp_path: Path) -> None:
        with pytest.raises(ModelFolderError, match=r"holds no config\.json"):
            recorded_config(tmp_path)

    def test_a_model_without_a_run(self, config: RunConfig, tmp_path: Path) -> None:
        from hybridqies.classifier import write_config

        write_config(tmp_path, {}, None)
        with pytest.raises(ModelFolderError, match="holds a model but no run to resume"):
            recorded_config(tmp_path)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, tiny_encoder: Path, cache_folder: Path) -> Path:
    """A model whose labels are strings that in part read as integers."""
    file = tmp_path_factory.mktemp("data") / "mixed.csv"
    file.write_text(
        "text,label\n" + "".join(f"a long film {'sea ' * n}winter,{'12x'[n % 3]}\n" for n in range(30))
    )
    folder = tmp_path_factory.mktemp("runs") / "run"
    config = RunConfig(
        data=DataOptions(str(file)), encoder=str(tiny_encoder), head="logistic", compare=(), training=QUICK
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HYBRIDQIES_CACHE", str(cache_folder))
        start_run(config, folder)
        execute(config, folder)
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
