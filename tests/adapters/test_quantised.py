"""Adapters beside quantised weights: those of a stand-in, and 8- and 4-bit ones of bitsandbytes."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from adapter_rows import METHODS, SIZES, shake
from peft import PeftModel, get_peft_model
from peft.utils.quantization_utils import ForwardOnlyQuantizationBackend, QuantizationBackend
from torch import nn
from torch.nn.functional import linear

from hybridqies.adapters import tuner_layer, tuner_model
from hybridqies.errors import InputError

# peft keeps adapters beside quantised weights in float32.
# 64 products of up to 5, each rounded by 6e-8, are summed in an order that the CPU decides.
SINGLE: dict[str, Any] = {"atol": 1e-5, "rtol": 0}


class Eighths(nn.Module):
    """A layer whose weight is kept as whole numbers of eighths, and whose bias is not quantised."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = layer.in_features, layer.out_features
        self.register_buffer("eighths", torch.round(8 * layer.weight.detach().double()).to(torch.int8))
        self.bias = layer.bias

    def weights(self) -> torch.Tensor:
        """The weight as numbers."""
        return self.get_buffer("eighths").double() / 8

    def forward(self, x):
        return linear(x.double(), self.weights(), self.bias.double()).to(x.dtype)


class EighthsBackend(QuantizationBackend):  # type: ignore[misc]
    """As peft's own ones: it can read the weight."""

    supports_merge = True
    backend_name = "eighths"

    def get_base_weight(self, base_layer: nn.Module) -> torch.Tensor:
        assert isinstance(base_layer, Eighths)
        return base_layer.weights()


class Net(nn.Module):
    """Two quantised layers with a norm between them."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(64, 128)
        self.norm = nn.LayerNorm(128)
        self.second = nn.Linear(128, 64)

    def forward(self, x):
        return self.second(torch.tanh(self.norm(self.first(x))))


def net(quantise, dtype=torch.float64):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Net().to(dtype)
    for name in ("first", "second"):
        setattr(model, name, quantise(getattr(model, name)))
    return model


def rows(dtype=torch.float64):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(5, 64, generator=generator, dtype=torch.float64).to(dtype)


@pytest.fixture
def eighths(monkeypatch):
    """peft finds the backend of such layers."""

    def resolve(layer: nn.Module, **_: Any) -> QuantizationBackend | None:
        return EighthsBackend() if isinstance(layer, Eighths) else None

    for module in (tuner_layer, tuner_model):
        monkeypatch.setattr(module, "resolve_quantization_backend", resolve)


def adapted(method, base):
    torch.manual_seed(2)
    model = get_peft_model(base, METHODS[method](target_modules=["first", "second"]))
    return shake(model, 3)


@pytest.mark.parametrize("method", METHODS)
def test_merging_keeps_the_outputs_and_unmerging_the_bits(method, eighths) -> None:
    plain = net(Eighths)(rows())
    model = adapted(method, net(Eighths))
    expected, before = model(rows()), copy.deepcopy(model.state_dict())
    assert (expected - plain).abs().max() > 1e-2
    for safe in (False, True):
        model.merge_adapter(safe_merge=safe)
        torch.testing.assert_close(model(rows()), expected, **SINGLE)
        assert isinstance(model.base_model.model.first.base_layer, nn.Linear)
        model.unmerge_adapter()
        assert model.state_dict().keys() == before.keys()
        assert all(torch.equal(each, before[name]) for name, each in model.state_dict().items())
        assert torch.equal(model(rows()), expected)


@pytest.mark.parametrize("method", METHODS)
def test_two_adapters_are_merged_one_after_the_other(method, eighths) -> None:
    model = adapted(method, net(Eighths))
    model.add_adapter("other", model.peft_config["default"])
    model.base_model.set_adapter(["default", "other"])
    shake(model, 4)
    expected = model(rows())
    model.merge_adapter(["default"])
    model.merge_adapter(["other"])
    torch.testing.assert_close(model(rows()), expected, **SINGLE)
    with model.disable_adapter():
        assert torch.equal(model(rows()), net(Eighths)(rows()))
    assert torch.equal(model(rows()), expected)


def test_merged_model_is_dense_and_has_the_types_of_the_model(eighths) -> None:
    model = adapted("quanta-frozen", net(Eighths, torch.bfloat16))
    expected = model(rows(torch.bfloat16))
    merged = model.merge_and_unload()
    assert [type(each) for each in merged.children()] == [nn.Linear, nn.LayerNorm, nn.Linear]
    assert {each.dtype for each in merged.parameters()} == {torch.bfloat16}
    torch.testing.assert_close(merged(rows(torch.bfloat16)), expected, atol=0.05, rtol=0)


def test_merge_that_is_not_finite_leaves_the_quantised_layer(eighths) -> None:
    model = adapted("quanta-frozen", net(Eighths))
    layer = model.base_model.model.first
    next(layer.quanta_gates["default"].parameters()).data.fill_(torch.nan)
    with pytest.raises(InputError, match="NaN or infinite"):
        layer.merge(safe_merge=True)
    assert isinstance(layer.base_layer, Eighths)
    assert not layer.merged


@pytest.mark.parametrize("method", METHODS)
def test_a_weight_that_cannot_be_read_is_not_merged(method) -> None:
    model = get_peft_model(net(nn.Identity().forward), METHODS[method](target_modules=["first"]))
    layer = model.base_model.model.first
    layer.quantization_backend = ForwardOnlyQuantizationBackend("gptq")
    with pytest.raises(
        InputError, match=r"a layer is quantised by gptq; expected .*; keep the adapter beside it"
    ):
        model.merge_adapter()
    assert not layer.merged


def bits(bits_of, layer):
    """An 8- or 4-bit layer of bitsandbytes."""
    bnb = pytest.importorskip("bitsandbytes")
    sizes = layer.in_features, layer.out_features
    made = (
        bnb.nn.Linear8bitLt(*sizes, has_fp16_weights=False, threshold=0.0)
        if bits_of == 8
        else bnb.nn.Linear4bit(*sizes, quant_type="nf4", compute_dtype=torch.float32)
    )
    made.load_state_dict(layer.state_dict())
    return made.to("cpu")


@pytest.mark.parametrize("bits_of", [8, 4])
@pytest.mark.parametrize("method", METHODS)
def test_layers_of_bitsandbytes(method, bits_of, tmp_path) -> None:
    def base():
        return net(lambda layer: bits(bits_of, layer), torch.float32)

    plain = base().train()(rows(torch.float32))
    # In training mode, in which no CPU kernel rounds inputs to bfloat16.
    model = adapted(method, base()).train()
    expected = model(rows(torch.float32))
    effect = float((expected - plain).abs().max())
    expected.square().mean().backward()
    assert all(each.grad.isfinite().all() for each in model.parameters() if each.requires_grad)
    model.save_pretrained(tmp_path)
    assert torch.equal(PeftModel.from_pretrained(base(), tmp_path).train()(rows(torch.float32)), expected)
    # 8-bit layers quantise what they read, too; dense ones do not.
    near = 1e-5 if bits_of == 4 else effect / 20
    model.merge_adapter()
    assert float((model(rows(torch.float32)) - expected).abs().max()) < near
    model.unmerge_adapter()
    assert torch.equal(model(rows(torch.float32)), expected)
    assert float((model.merge_and_unload()(rows(torch.float32)) - expected).abs().max()) < near


def test_weights_that_evaluation_has_packed_are_read_all_the_same() -> None:
    model = adapted("quanta-frozen", net(lambda layer: bits(4, layer), torch.float32))
    before = model.base_model.model.first._read_weight("default")
    model.eval()(rows(torch.float32))
    # bitsandbytes rounds the scales to bfloat16 when it packs.
    torch.testing.assert_close(
        model.base_model.model.first._read_weight("default"), before, rtol=2**-8, atol=0
    )


@pytest.mark.slow
@pytest.mark.parametrize("options", [{"load_in_8bit": True}, {"load_in_4bit": True}])
def test_merged_language_model_is_saved_and_loaded(options, tmp_path) -> None:
    pytest.importorskip("bitsandbytes")
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig, LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(**{**SIZES, "hidden_size": 64, "intermediate_size": 128}, tie_word_embeddings=False)
    LlamaForCausalLM(config).save_pretrained(tmp_path / "base")
    base = AutoModelForCausalLM.from_pretrained(
        tmp_path / "base", quantization_config=BitsAndBytesConfig(**options), device_map="cpu"
    )
    tokens = torch.arange(12)[None]
    model = shake(get_peft_model(base, METHODS["quanta-frozen"](target_modules=["q_proj", "v_proj"])), 3)
    merged = model.merge_and_unload().train()
    expected = merged(tokens).logits
    assert type(merged.model.layers[0].self_attn.q_proj) is nn.Linear
    merged.save_pretrained(tmp_path / "merged")
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "merged", device_map="cpu").train()
    torch.testing.assert_close(loaded(tokens).logits, expected, atol=1e-5, rtol=0)
    kinds = [type(module) for module in merged.modules()]
    assert [type(module) for module in loaded.modules()] == kinds
