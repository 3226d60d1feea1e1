"""An encoder as a module that is trained: what changes, what stays, merging, and the files of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from sentence_transformers import SentenceTransformer

from hybridqies.adapters import register
from hybridqies.errors import InputError, ModelFolderError, UnknownNameError
from hybridqies.roles import Role, roles_of
from hybridqies.text import Encoder
from hybridqies.tuning import EncoderChange, change_encoder
from hybridqies.tuning.files import export_encoder, load_change, save_change
from hybridqies.tuning.methods import ADAPTER, METHODS
from hybridqies.tuning.spec import read_tuning
from hybridqies.tuning.tunable import TunableEncoder
from hybridqies.tuning.tuned import TunedEncoder

ADAPTERS = [name for name, method in METHODS.items() if method.is_adapter]
TEXTS = ["good film", "bad film with a bad end", "cold"]


def tunable(encoder: Encoder, method: str, seed: int = 0, **settings: Any) -> TunableEncoder:
    return TunableEncoder(encoder, read_tuning(method, settings), seed)


def embed(model: TunableEncoder, encoder: Encoder) -> torch.Tensor:
    tokens = encoder.tokenise(TEXTS)[torch.arange(len(TEXTS))]
    with torch.no_grad():
        found: torch.Tensor = model.eval()(tokens)
    return found


def changed(encoder: Encoder, method: str) -> TunableEncoder:
    """With random numbers added to what is trained, as if it had been."""
    model = tunable(encoder, method)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for each in model.parameters():
            if each.requires_grad:
                each.add_(0.05 * torch.randn(each.shape, generator=generator))
    return model


@pytest.mark.parametrize("method", ["full", *ADAPTERS])
class TestEveryMethod:
    def test_nothing_is_changed_at_the_start(self, method: str, encoder: Encoder) -> None:
        torch.testing.assert_close(
            embed(tunable(encoder, method), encoder), encoder.encode(TEXTS), atol=1e-6, rtol=1e-6
        )

    def test_roles_and_counts(self, method: str, encoder: Encoder) -> None:
        model = tunable(encoder, method)
        trained = {name: each for name, each in model.named_parameters() if each.requires_grad}
        role = Role.ADAPTER if method in ADAPTERS else Role.ENCODER
        assert {roles_of(model)[name] for name in trained} == {role}
        assert model.n_trained() == sum(each.numel() for each in trained.values()) > 0
        assert not any("pooler" in name for name in trained)

    def test_no_weight_stands_in_the_state_twice(self, method: str, encoder: Encoder) -> None:
        model = tunable(encoder, method)
        buffers = sum(1 for _ in model.buffers())
        assert len(model.state_dict()) <= sum(1 for _ in model.parameters()) + buffers

    def test_a_merged_encoder_embeds_as_the_tuned_one(self, method: str, encoder: Encoder) -> None:
        model = changed(encoder, method)
        merged = change_encoder(encoder, EncoderChange.of(model))
        found, plain = merged.encode(TEXTS), encoder.encode(TEXTS)
        torch.testing.assert_close(found, embed(model, encoder), atol=1e-5, rtol=1e-5)
        assert float((found - plain).abs().max()) > 1e-3
        assert merged.fingerprint != encoder.fingerprint
        again = change_encoder(encoder, EncoderChange.of(changed(encoder, method)))
        assert again.fingerprint == merged.fingerprint
        assert torch.equal(encoder.encode(TEXTS), plain)

    def test_files_give_it_back(self, method: str, encoder: Encoder, tmp_path: Path) -> None:
        merged = change_encoder(encoder, EncoderChange.of(changed(encoder, method)))
        digests = save_change(tmp_path, merged)
        loaded = load_change(tmp_path, merged.change.describe())
        again = change_encoder(encoder, loaded)
        assert again.fingerprint == merged.fingerprint
        assert torch.equal(again.encode(TEXTS), merged.encode(TEXTS))
        assert set(digests) == {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*")}
        assert save_change(tmp_path / "again", again) == digests

    def test_an_exported_folder_is_an_encoder_of_its_own(
        self, method: str, encoder: Encoder, tmp_path: Path
    ) -> None:
        merged = change_encoder(encoder, EncoderChange.of(changed(encoder, method)))
        export_encoder(merged, tmp_path / "encoder")
        assert torch.equal(Encoder.load(tmp_path / "encoder").encode(TEXTS), merged.encode(TEXTS))
        assert [path.name for path in tmp_path.iterdir()] == ["encoder"]
        with pytest.raises(InputError, match="is not empty"):
            export_encoder(merged, tmp_path / "encoder")


@pytest.mark.parametrize("method", ADAPTERS)
def test_peft_loads_the_adapter(method: str, encoder: Encoder, tmp_path: Path) -> None:
    """On the transformer inside, as `SentenceTransformer.load_adapter` does."""
    merged = change_encoder(encoder, EncoderChange.of(changed(encoder, method)))
    save_change(tmp_path, merged)
    register()
    plain = encoder.copy_model()
    assert isinstance(plain, SentenceTransformer)
    inside = plain[0].auto_model
    PeftModel.from_pretrained(inside, str(tmp_path / ADAPTER.partition("/")[0]))
    found = torch.as_tensor(plain.encode(TEXTS))
    torch.testing.assert_close(found, merged.encode(TEXTS), atol=1e-5, rtol=1e-5)


def test_an_adapter_names_no_folder_of_this_machine(encoder: Encoder, tmp_path: Path) -> None:
    save_change(tmp_path, change_encoder(encoder, EncoderChange.of(changed(encoder, "lora"))))
    config = json.loads((tmp_path / "adapter/adapter_config.json").read_text())
    assert config["base_model_name_or_path"] is None
    assert sorted(config["target_modules"]) == sorted(
        f"encoder.layer.0.attention.self.{name}" for name in ("query", "value")
    )


def test_the_seed_draws_adapters_and_nothing_else(encoder: Encoder) -> None:
    state = torch.random.get_rng_state()
    one, two, other = (tunable(encoder, "lora", seed).state() for seed in (1, 1, 2))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"last": 1}, ".layer.0."),
        ({"layers": "query,output.dense"}, ("query", "output.dense")),
        ({"layers": "attention.output.dense", "last": 1}, "attention.output.dense"),
    ],
)
def test_a_part_of_the_weights(
    settings: dict[str, Any], names: str | tuple[str, ...], encoder: Encoder
) -> None:
    model = tunable(encoder, "full", **settings)
    trained = [name for name, each in model.named_parameters() if each.requires_grad]
    wanted = (names,) if isinstance(names, str) else names
    assert trained
    assert all(any(each in name for each in wanted) for name in trained)


@pytest.mark.parametrize(
    ("method", "settings", "message"),
    [
        ("full", {"last": 7}, "last 7 layers of an encoder were to be tuned, which has 1"),
        ("lora", {"layers": "querry"}, "unknown layer 'querry'.*did you mean 'query'"),
        ("full", {"layers": "quer"}, "unknown layer 'quer'"),
        ("quanta", {"axes": "5,7"}, "35"),
        ("circuit", {"circuit": "long-rang-encoder"}, "did you mean 'long-range-encoder'"),
    ],
)
def test_what_cannot_be_tuned(method: str, settings: dict[str, Any], message: str, encoder: Encoder) -> None:
    with pytest.raises(InputError, match=message):
        tunable(encoder, method, **settings)


def test_a_transformer_whose_layers_peft_does_not_know(encoder: Encoder, monkeypatch: Any) -> None:
    from peft import utils

    known = {
        name: each
        for name, each in utils.TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING.items()
        if name != "bert"
    }
    monkeypatch.setattr(utils, "TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING", known)
    with pytest.raises(InputError, match=r"type 'bert'; expected some of dense, key, query, value; give"):
        tunable(encoder, "lora")


def test_another_tuning_is_refused(encoder: Encoder, tmp_path: Path) -> None:
    lora = EncoderChange.of(tunable(encoder, "lora"))
    with pytest.raises(InputError, match="of a tuned encoder does not fit"):
        tunable(encoder, "quanta").load(lora.tensors)
    merged = change_encoder(encoder, lora)
    save_change(tmp_path, merged)
    with pytest.raises(ModelFolderError, match="not the one that was recorded"):
        load_change(tmp_path, {**lora.describe(), "sha256": "0" * 64})
    assert isinstance(merged, TunedEncoder)


@pytest.mark.parametrize("content", [b"{", b"[" * 100_000, b"\xff", b"[1]", b"{}", None])
def test_a_broken_configuration_of_an_adapter_is_one_line(
    encoder: Encoder, tmp_path: Path, content: bytes | None
) -> None:
    change = EncoderChange.of(tunable(encoder, "lora"))
    save_change(tmp_path, change_encoder(encoder, change))
    config = tmp_path / "adapter/adapter_config.json"
    config.unlink()
    if content is not None:
        config.write_bytes(content)
    with pytest.raises(ModelFolderError, match=r"adapter_config.json' cannot be read") as caught:
        load_change(tmp_path, change.describe())
    assert "\n" not in str(caught.value)


def test_names_of_layers_are_looked_up_in_the_transformer(encoder: Encoder) -> None:
    with pytest.raises(UnknownNameError) as caught:
        tunable(encoder, "quanta", layers="value,keys")
    assert caught.value.nearest == "key"
