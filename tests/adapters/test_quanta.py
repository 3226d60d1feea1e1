from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from peft import PeftModel, get_peft_model
from torch import nn
from torch.nn.functional import linear
from transformers.pytorch_utils import Conv1D

from hybridqies.adapters import QuantaConfig, count_parameters
from hybridqies.adapters.contraction import Contraction, Place
from hybridqies.adapters.factors import pair_gates
from hybridqies.errors import InputError, UnknownNameError
from hybridqies.roles import Role, roles_of

STARTS = ("frozen", "zero")
SQUARE, WIDE = (3, 2, 4), (3, 4, 6)


class Net(nn.Module):
    """Layers of equal and of different widths, and one as GPT-2 has it."""

    def __init__(self) -> None:
        super().__init__()
        self.square = nn.Linear(24, 24)
        self.wide = nn.Linear(24, 72)
        self.narrow = Conv1D(24, 72)
        self.head = nn.Linear(24, 7)

    def forward(self, x):
        return self.head(torch.tanh(self.narrow(torch.tanh(self.wide(torch.tanh(self.square(x)))))))


NAMES = ["square", "wide", "narrow"]


def net(dtype=torch.float32):
    torch.manual_seed(0)
    return Net().to(dtype)


def rows(dtype=torch.float32, n=5):
    return torch.randn(n, 24, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(dtype)


def config(**options):
    return QuantaConfig(target_modules=NAMES, axes=[list(SQUARE), list(WIDE)], **options)


def shake(model, seed=2):
    """Gives every trained number another value, as training would."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for each in model.parameters():
            if each.requires_grad:
                each += 0.1 * torch.randn(each.shape, generator=generator).to(each)


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_nothing_changes_at_the_start(start, dtype):
    base = net(dtype)
    expected = base(rows(dtype))
    model = get_peft_model(base, config(start=start))
    assert torch.equal(model(rows(dtype)), expected)
    assert model(rows(dtype)).dtype == dtype
    trained = {each.dtype for each in model.parameters() if each.requires_grad}
    assert trained == {torch.float32}


@pytest.mark.parametrize("start", STARTS)
def test_as_many_parameters_are_trained_as_the_formula_counts(start):
    model = get_peft_model(net(), config(start=start))
    expected = sum(count_parameters(*axes) for axes in [(SQUARE, SQUARE), (SQUARE, WIDE), (WIDE, SQUARE)])
    assert sum(each.numel() for each in model.parameters() if each.requires_grad) == expected
    adapters = [name for name, role in roles_of(model).items() if role is Role.ADAPTER]
    assert adapters == [name for name, each in model.named_parameters() if each.requires_grad]


def dense(matrices, in_axes, out_axes):
    """The product of the gates as one matrix (out, in), by einsum over all axes at once."""
    tensor = np.eye(math.prod(in_axes)).reshape(*in_axes, -1)
    for matrix, gate in zip(matrices, pair_gates(in_axes, out_axes), strict=True):
        letters = "abcdefgh"[: len(in_axes)]
        first, second = letters[gate.first], letters[gate.second]
        new = letters.replace(first, "x").replace(second, "y")
        four = matrix.reshape(*gate.out_sizes, *gate.in_sizes)
        tensor = np.einsum(f"xy{first}{second},{letters}z->{new}z", four, tensor)
    return tensor.reshape(math.prod(out_axes), -1)


@pytest.mark.parametrize("start", STARTS)
def test_change_is_the_einsum_of_the_gates(start):
    model = get_peft_model(net(torch.float64), config(start=start))
    shake(model)
    sizes = {"square": (SQUARE, SQUARE), "wide": (SQUARE, WIDE), "narrow": (WIDE, SQUARE)}
    for name, axes in sizes.items():
        layer = getattr(model.base_model.model, name)
        expected = dense([each.detach().numpy() for each in layer.quanta_gates["default"]], *axes)
        if start == "frozen":
            expected -= dense([each.numpy() for each in layer.quanta_start["default"]], *axes)
        found = layer.get_delta_weight("default").detach().numpy()
        assert found.shape == tuple(layer.weight.shape)
        np.testing.assert_allclose(found.T if name == "narrow" else found, expected, atol=1e-12)
        inputs = rows(torch.float64) @ torch.ones(24, axes[0][0] * axes[0][1] * axes[0][2]).double()
        change = (layer(inputs) - layer.base_layer(inputs)).detach().numpy()
        np.testing.assert_allclose(change, inputs.numpy() @ expected.T, atol=1e-10)


def test_contraction_of_no_rows_and_of_a_sequence():
    places = [Place((gate.first, gate.second), gate.out_sizes) for gate in pair_gates((2, 3), (4, 3))]
    plan = Contraction((2, 3), places)
    matrix = torch.arange(72.0).reshape(12, 6)
    assert plan.apply(torch.empty(0, 6), [matrix]).shape == (0, 12)
    inputs = torch.randn(2, 5, 6)
    torch.testing.assert_close(plan.apply(inputs, [matrix]), linear(inputs, matrix).reshape(10, 12))


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("safe", [False, True])
def test_merged_and_unmerged_agree(start, safe):
    model = get_peft_model(net(), config(start=start))
    shake(model)
    expected, before = model(rows()), copy.deepcopy(model.state_dict())
    model.merge_adapter(safe_merge=safe)
    torch.testing.assert_close(model(rows()), expected, atol=1e-5, rtol=0)
    model.unmerge_adapter()
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(tensor, before[name], atol=1e-6, rtol=0)
    merged = model.merge_and_unload(safe_merge=safe)
    assert isinstance(merged.square, nn.Linear)
    torch.testing.assert_close(merged(rows()), expected, atol=1e-5, rtol=0)


def test_a_merge_that_is_not_finite_is_refused_and_leaves_the_weight():
    model = get_peft_model(net(), config())
    layer = model.base_model.model.square
    with torch.no_grad():
        layer.quanta_gates["default"][0][0, 0] = math.inf
    before = layer.weight.clone()
    with pytest.raises(InputError, match="adapter 'default' makes weights that are NaN or infinite"):
        layer.merge(safe_merge=True)
    assert torch.equal(layer.weight, before)
    assert not layer.merged


def test_two_adapters_at_once_each_alone_and_none():
    model = get_peft_model(net(), config())
    shake(model)
    model.add_adapter("other", config(start="zero"))
    model.set_adapter("other")
    shake(model, seed=3)
    single = model.base_model.model.square
    plain = single.base_layer(rows())
    changes = {}
    for name in ("default", "other"):
        model.set_adapter(name)
        changes[name] = single(rows()) - plain
        assert changes[name].abs().max() > 1e-2
    model.base_model.set_adapter(["default", "other"])
    both = plain + changes["default"] + changes["other"]
    torch.testing.assert_close(single(rows()), both, atol=2e-5, rtol=0)
    expected = model(rows())
    model.merge_adapter(["default", "other"])
    torch.testing.assert_close(model(rows()), expected, atol=2e-5, rtol=0)
    model.unmerge_adapter()
    with model.disable_adapter():
        torch.testing.assert_close(model(rows()), net()(rows()), atol=1e-5, rtol=0)
    model.delete_adapter("other")
    assert single.active_adapters == ["default"]
    assert not [name for name in model.state_dict() if "other" in name]


@pytest.mark.parametrize("start", STARTS)
def test_a_reloaded_adapter_gives_the_same_bits(start, tmp_path):
    model = get_peft_model(net(), config(start=start))
    shake(model)
    model.save_pretrained(tmp_path)
    expected = model(rows())
    torch.manual_seed(9)  # Another start than the saved one.
    for options in ({}, {"adapter_name": "renamed"}, {"low_cpu_mem_usage": True}):
        loaded = PeftModel.from_pretrained(net_of_seed_0(), tmp_path, **options)
        assert torch.equal(loaded(rows()), expected)


def net_of_seed_0():
    state = torch.get_rng_state()
    made = net()
    torch.set_rng_state(state)
    return made


@pytest.mark.parametrize("start", STARTS)
def test_gradients_are_finite_differences(start):
    model = get_peft_model(net(torch.float64), config(start=start))
    shake(model)
    layer = model.base_model.model.wide
    gates = list(layer.quanta_gates["default"])
    picked = [gate[:2, :3].detach().clone().requires_grad_() for gate in gates]

    def run(inputs, *parts):
        whole = [torch.cat([torch.cat([p, g[:2, 3:]], 1), g[2:]]) for p, g in zip(parts, gates, strict=True)]
        return layer.quanta_plan["default"].apply(inputs, whole)

    assert torch.autograd.gradcheck(run, (rows(torch.float64, 2).requires_grad_(), *picked))
    inputs = rows(torch.float64)
    loss = model(inputs).square().sum()
    loss.backward()
    with torch.no_grad():
        for gate in gates:
            at, step = (1, 2), 1e-6
            values = []
            for sign in (1, -1):
                gate[at] += sign * step
                values.append(float(model(inputs).square().sum()))
                gate[at] -= sign * step
            assert gate.grad[at] == pytest.approx((values[0] - values[1]) / (2 * step), rel=1e-6, abs=1e-8)
    if start == "frozen":
        assert all(each.grad is None for each in layer.quanta_start["default"])


@pytest.mark.parametrize("start", STARTS)
def test_what_is_learnt_has_full_rank(start):
    model = get_peft_model(net(torch.float64), QuantaConfig(target_modules=["square"], start=start))
    optimizer = torch.optim.SGD([each for each in model.parameters() if each.requires_grad], lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        model(rows(torch.float64, 40)).square().mean().backward()
        optimizer.step()
    change = model.base_model.model.square.get_delta_weight("default")
    assert torch.linalg.matrix_rank(change) == 24


def test_dropout_drops_in_training_alone():
    model = get_peft_model(net(), config(dropout=0.5))
    shake(model)
    model.eval()
    assert torch.equal(model(rows()), model(rows()))
    model.train()
    assert not torch.equal(model(rows()), model(rows()))


def test_copies_and_checkpointing_give_the_same_values():
    model = get_peft_model(net(), config())
    shake(model)
    expected = model(rows())
    assert torch.equal(copy.deepcopy(model)(rows()), expected)
    inputs = rows().requires_grad_()
    torch.utils.checkpoint.checkpoint(model, inputs, use_reentrant=False).sum().backward()
    plain = rows().requires_grad_()
    model(plain).sum().backward()
    torch.testing.assert_close(inputs.grad, plain.grad)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target_modules": ["sqare"]}, "unknown layer 'sqare'.*did you mean 'square'"),
        ({"target_modules": ["square", "wid"]}, "unknown layer 'wid'.*did you mean 'wide'"),
        ({"target_modules": ["head"]}, "layer 'head' cannot be adapted: .*width 7, which does not factor"),
        ({"target_modules": ["square", "head"]}, "layer 'head' cannot be adapted"),
        ({"target_modules": ["square"], "axes": [12, 8, 4]}, "width 24 and the axes given are 12·8·4 = 384"),
        ({"target_modules": ["square"], "start": "zeros"}, "did you mean 'zero'"),
        ({"target_modules": ["square"], "dropout": 1.0}, "dropout was given 1.0; expected 0 to less than 1"),
        ({"target_modules": ["square"], "axes": [24, 1]}, "at least two whole numbers of at least 2"),
    ],
)
def test_refusals_are_one_line_and_leave_the_model(options, message):
    model = net()
    with pytest.raises(InputError, match=message) as caught:
        get_peft_model(model, QuantaConfig(**options))
    assert "\n" not in str(caught.value)
    assert isinstance(model.square, nn.Linear)


def test_a_layer_that_is_not_linear_is_refused():
    model = nn.Sequential(nn.Conv1d(4, 4, 1))
    with pytest.raises(InputError, match="layer '0' cannot be adapted: a Conv1d was to get an adapter"):
        get_peft_model(model, QuantaConfig(target_modules=["0"]))


def test_wildcards_choose_linear_layers(tmp_path):
    model = get_peft_model(net(), QuantaConfig(target_modules=["*ar*", "wid[a-e]"]))
    adapted = [
        name for name, each in model.base_model.model.named_children() if hasattr(each, "quanta_gates")
    ]
    assert adapted == ["square", "wide", "narrow"]
    model.save_pretrained(tmp_path)
    assert PeftModel.from_pretrained(net(), tmp_path).peft_config["default"].target_modules == set(NAMES)
    with pytest.raises(UnknownNameError, match="unknown layer 'x\\*'"):
        get_peft_model(net(), QuantaConfig(target_modules=["x*"]))


def test_nearest_name_of_a_misspelt_layer_is_kept():
    with pytest.raises(UnknownNameError) as caught:
        get_peft_model(net(), QuantaConfig(target_modules=["narow"]))
    assert caught.value.nearest == "narrow"
