"""Layers replaced in models: values, gradients, files, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from hybridqies.compression import (
    METHODS,
    CompressedLinear,
    approximate,
    collect_covariances,
    compress,
    find_layers,
    load_compressed,
    save_compressed,
    to_dense,
)
from hybridqies.errors import InputError, UnknownNameError
from hybridqies.factorised.layer import FORWARDS
from hybridqies.roles import Role, roles_of
from hybridqies.tensornet import MPO


class Block(nn.Module):
    k_proj: Any
    v_proj: Any

    def __init__(self) -> None:
        super().__init__()
        self.k_proj = nn.Linear(12, 8, bias=False)
        self.v_proj = nn.Linear(8, 12)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        outputs: torch.Tensor = self.v_proj(self.k_proj(inputs).tanh())
        return outputs


def build_model() -> Any:
    torch.manual_seed(0)
    return nn.Sequential(Block(), Block()).double()


def draw_inputs() -> torch.Tensor:
    return torch.randn(5, 7, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("forward", FORWARDS)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n_sites", [2, 3])
def test_a_layer_multiplies_by_the_matrix_of_its_cores(method, forward, n_sites):
    linear = nn.Linear(12, 8).double()
    mpo = approximate(linear.weight, method, 0.6, torch.eye(12), n_sites=n_sites)
    layer = CompressedLinear.from_layer(linear, mpo, forward)
    inputs = draw_inputs()
    expected = inputs @ mpo.to_matrix().T + linear.bias
    assert torch.dist(layer(inputs), expected) < 1e-12
    assert torch.dist(layer.to_plain()(inputs), expected) < 1e-12
    assert layer(inputs[:0]).shape == (0, 7, 8)


@pytest.mark.parametrize("forward", FORWARDS)
def test_a_padded_layer_has_the_widths_of_the_one_it_replaces(forward):
    linear = nn.Linear(11, 7).double()
    mpo = MPO.from_matrix(linear.weight.detach(), (2, 2, 2), (2, 3, 2))
    layer = CompressedLinear.from_layer(linear, mpo, forward)
    inputs = draw_inputs()[..., :11]
    assert torch.dist(layer(inputs), linear(inputs)) < 1e-12


@pytest.mark.parametrize("forward", FORWARDS)
def test_gradients_agree_with_finite_differences(forward):
    linear = nn.Linear(6, 4).double()
    mpo = MPO.from_matrix(linear.weight.detach(), (2, 2), (3, 2), 2)
    layer = CompressedLinear.from_layer(linear, mpo, forward)
    inputs = draw_inputs()[0, :2, :6].clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda each, *_: layer(each), (inputs, *layer.parameters()))


def test_half_precision_stays_half_precision():
    linear = nn.Linear(12, 8).bfloat16()
    layer = CompressedLinear.from_layer(linear, approximate(linear.weight, "mpo", 0.5))
    assert layer(draw_inputs().bfloat16()).dtype == torch.bfloat16


def test_the_cores_are_adapters_to_training():
    linear = nn.Linear(12, 8)
    roles = roles_of(CompressedLinear.from_layer(linear, approximate(linear.weight, "mpo", 0.5)))
    assert roles == {"bias": Role.BODY, "cores.0": Role.ADAPTER, "cores.1": Role.ADAPTER}


def test_chosen_layers_are_replaced_and_the_others_stay():
    model = build_model()
    records = compress(model, "mpo", 0.5, "k_proj")
    assert [record.name for record in records] == ["0.k_proj", "1.k_proj"]
    assert all(record.parameters <= 0.5 * record.parameters_before == 48 for record in records)
    assert isinstance(model[0].k_proj, CompressedLinear)
    assert type(model[1].v_proj) is nn.Linear
    original = build_model()[0].k_proj.weight.detach()
    change = model[0].k_proj.matrix().detach() - original
    assert records[0].error == pytest.approx(float(change.norm() / original.norm()))


def test_shares_by_name_leave_the_other_layers_alone():
    model = build_model()
    assert [record.name for record in compress(model, "svd", {"1.v_proj": 0.5}, "*")] == ["1.v_proj"]


def test_export_to_plain_layers_changes_no_output():
    model, inputs = build_model(), draw_inputs()
    compress(model, "mpo", 0.5, ["k_proj", "v_proj"])
    before = model(inputs)
    to_dense(model)
    assert model.state_dict().keys() == build_model().state_dict().keys()
    assert torch.dist(model(inputs), before) < 1e-12


def test_covariances_are_those_of_what_a_layer_reads():
    model, inputs = build_model(), draw_inputs()
    found = collect_covariances(model, "*k_proj", [inputs[:2], inputs[2:]], model)
    rows = inputs.reshape(-1, 12)
    assert torch.dist(found["0.k_proj"], rows.T @ rows / len(rows)) < 1e-12
    inner = model[0](inputs).detach().reshape(-1, 12)
    assert torch.dist(found["1.k_proj"], inner.T @ inner / len(inner)) < 1e-12
    assert not model[0].k_proj._forward_pre_hooks


def test_the_activations_norm_disturbs_outputs_least():
    inputs = draw_inputs() * torch.logspace(0, -2, 12, dtype=torch.float64)
    change = {}
    for method in ("svd", "wsvd", "mpo", "wmpo", "zero"):
        model = build_model()
        before = model[0].k_proj(inputs)
        seen = collect_covariances(model, "0.k_proj", [inputs], model)
        compress(model, method, 0.4, "0.k_proj", seen)
        change[method] = float((model[0].k_proj(inputs) - before).detach().norm())
    assert change["wsvd"] < change["svd"] < change["zero"]
    assert change["wmpo"] < change["mpo"] < change["zero"]


def test_a_pattern_that_fits_nothing_is_refused_with_the_nearest():
    with pytest.raises(UnknownNameError, match=r"unknown layer 'k_prj'.*did you mean 'k_proj'"):
        find_layers(build_model(), ["v_proj", "k_prj"])


def test_tied_weights_are_refused():
    model = build_model()
    model[1].k_proj.weight = model[0].k_proj.weight
    with pytest.raises(InputError, match=r"'0.k_proj' shares its weight with '1.k_proj.weight'"):
        compress(model, "svd", 0.5, "k_proj")


def test_nothing_is_replaced_unless_everything_can_be():
    model = nn.Sequential(nn.Linear(12, 12), nn.Linear(12, 13))
    with pytest.raises(InputError, match="width 13"):
        compress(model, "mpo", 0.5, "*")
    assert type(model[0]) is nn.Linear


def test_a_layer_that_reads_nothing_is_refused():
    model = build_model()
    with pytest.raises(InputError, match="read nothing"):
        collect_covariances(model, "k_proj", [], model)


def test_the_transposed_layers_of_gpt2_are_compressed_and_put_back(tmp_path):
    from transformers import GPT2Config, GPT2LMHeadModel
    from transformers.pytorch_utils import Conv1D

    torch.manual_seed(0)
    model = GPT2LMHeadModel(GPT2Config(vocab_size=32, n_positions=16, n_embd=16, n_layer=1, n_head=2)).eval()
    ids = torch.arange(10)[None]
    seen = collect_covariances(model, "c_attn", [ids], model)
    weight = model.transformer.h[0].attn.c_attn.weight.detach().clone()
    records = compress(model, "wsvd", 0.5, ["c_attn"], seen)
    layer: Any = model.transformer.h[0].attn.c_attn
    assert (layer.out_features, layer.in_features) == (48, 16)
    assert records[0].parameters == 384 // (48 + 16) * (48 + 16)
    assert records[0].error == pytest.approx(
        float((layer.matrix().detach().T - weight).norm() / weight.norm())
    )
    before = model(ids).logits
    save_compressed(model, tmp_path)
    loaded = load_compressed(tmp_path)
    kept, state = model.state_dict(), loaded.state_dict()
    assert state.keys() == kept.keys()
    assert all(torch.equal(value, state[name]) for name, value in kept.items())
    # How products are summed may depend on where in memory a weight lies.
    assert torch.dist(loaded(ids).logits, before) < 1e-5
    to_dense(model)
    assert type(model.transformer.h[0].attn.c_attn) is Conv1D
    assert torch.dist(model(ids).logits, before) < 1e-4
    with pytest.raises(InputError, match="'lm_head' shares its weight"):
        find_layers(model, "lm_head")
