"""Mixing layers in models of transformers: their own outputs at the start, trained alone, saved, refusals."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from hybridqies.errors import InputError, ModelFolderError, UnknownNameError
from hybridqies.lm import MIXERS
from hybridqies.lm.insertion import insert_mixers, load_mixers, save_mixers
from hybridqies.training import NextToken, TrainingConfig, Windows, fit

IDS = torch.randint(0, 19, (2, 16), generator=torch.Generator().manual_seed(0))


def llama() -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
    return LlamaForCausalLM(LlamaConfig(vocab_size=19, max_position_embeddings=32, **sizes)).eval()


def gpt2() -> Any:
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    sizes = {"n_positions": 32, "n_embd": 16, "n_layer": 2, "n_head": 2}
    return GPT2LMHeadModel(GPT2Config(vocab_size=19, bos_token_id=0, eos_token_id=0, **sizes)).eval()


def shake(model: Any) -> None:
    with torch.no_grad():
        for values in model.parameters():
            if values.requires_grad:
                values.add_(0.3)


@pytest.mark.parametrize("mixing", MIXERS)
@pytest.mark.parametrize(("make", "blocks"), [(llama, "model.layers.?"), (gpt2, ["h.0", "h.1"])])
def test_logits_are_the_same_at_the_start_and_nothing_leaks(make, blocks, mixing):
    model = make()
    with torch.no_grad():
        before = model(IDS).logits
        names = insert_mixers(model, blocks, mixing=mixing, context=16, rank=2)
        assert [name.rpartition(".")[2] for name in names] == ["0", "1"]
        assert torch.equal(model(IDS).logits, before)
        shake(model)
        changed = IDS.clone()
        changed[:, 9] = (changed[:, 9] + 1) % 19
        logits = [model(ids).logits for ids in (IDS, changed)]
    assert not torch.equal(logits[0], before)
    assert torch.equal(logits[0][:, :9], logits[1][:, :9])
    assert not torch.equal(logits[0][:, 9], logits[1][:, 9])


def test_training_changes_the_new_layers_alone_and_they_are_saved(tmp_path):
    model = llama()
    start = {name: value.clone() for name, value in model.state_dict().items()}
    insert_mixers(model, "layers.1", context=16, rank=2)
    config = TrainingConfig(epochs=3, batch_size=2, learning_rate=0.02)
    outcome = fit(model, Windows(IDS), None, NextToken(), config)
    assert outcome.history[-1]["train_loss"] < outcome.history[0]["train_loss"]
    for name, value in model.state_dict().items():
        if ".mixer." not in name:
            assert torch.equal(value, start[name.replace(".block.", ".")])
    save_mixers(model, tmp_path / "mixers.safetensors")
    again = llama()
    insert_mixers(again, "layers.1", context=16, rank=2, seed=9)
    load_mixers(again, tmp_path / "mixers.safetensors")
    with torch.no_grad():
        assert torch.equal(again(IDS).logits, model(IDS).logits)
    other = llama()
    insert_mixers(other, "layers.0", context=16, rank=2)
    with pytest.raises(ModelFolderError, match="tensor"):
        load_mixers(other, tmp_path / "mixers.safetensors")


def test_what_it_cannot_do_is_refused(tmp_path):
    model = llama()
    with pytest.raises(UnknownNameError, match="layer"):
        insert_mixers(model, "layers.7")
    with pytest.raises(InputError, match="swap"):
        insert_mixers(model, "layers.0", mixing="none")
    with pytest.raises(InputError, match="hidden_size"):
        insert_mixers(torch.nn.Linear(2, 2), "layers.0")
    with pytest.raises(InputError, match="both given"):
        insert_mixers(model, ["model.layers.0", "model.layers.0.mlp"])
    with pytest.raises(InputError, match="insert_mixers before"):
        save_mixers(model, tmp_path / "mixers.safetensors")
    insert_mixers(model, "layers.0", rank=2)
    with pytest.raises(InputError, match="already"):
        insert_mixers(model, "model.layers.0", rank=2)
    with pytest.raises(InputError, match="use_cache=False"):
        model(IDS, use_cache=True)
