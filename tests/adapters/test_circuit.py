from __future__ import annotations

import copy

import pytest
import torch
from peft import PeftModel, get_peft_model
from torch import nn
from transformers.pytorch_utils import Conv1D

from hybridqies.adapters import CircuitConfig
from hybridqies.circuit import Circuit, Weight, gate, load_circuit
from hybridqies.errors import InputError
from hybridqies.roles import Role, roles_of

FORMS = ("long-range-encoder", "butterfly", "brickwork")


class Net(nn.Module):
    """Widths 24 = 3 x 8 and 16, one layer as GPT-2 has it, and one without a bias."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(6, 24)
        self.second = Conv1D(16, 24)
        self.third = nn.Linear(16, 24, bias=False)
        self.head = nn.Linear(24, 3)

    def forward(self, x):
        return self.head(torch.tanh(self.third(torch.tanh(self.second(torch.tanh(self.first(x)))))))


NAMES = ["first", "second", "third"]


def net(dtype=torch.float32):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Net().to(dtype)


def rows(dtype=torch.float32, n=5):
    return torch.randn(n, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(dtype)


def adapted(form, dtype=torch.float32, shaken=True):
    model = get_peft_model(net(dtype), CircuitConfig(target_modules=NAMES, circuit=form))
    return shake(model) if shaken else model


def shake(model, seed=2):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for each in model.parameters():
            if each.requires_grad:
                each += torch.randn(each.shape, generator=generator).to(each)
    return model


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_nothing_changes_at_the_start(form, dtype):
    expected = net(dtype)(rows(dtype))
    model = adapted(form, dtype, shaken=False)
    assert torch.equal(model(rows(dtype)), expected)
    assert {each.dtype for each in model.parameters() if each.requires_grad} == {torch.float32}


@pytest.mark.parametrize(
    ("form", "expected"),
    # Three qubits on blocks of 8, four on all 16; a complex circuit has one qubit less.
    [("long-range-encoder", [27, 52, 27]), ("butterfly", [18, 24, 18]), ("brickwork", [18, 27, 18])],
)
def test_angles_are_those_of_the_recipe(form, expected):
    model = adapted(form)
    trained = {name: each for name, each in model.named_parameters() if each.requires_grad}
    assert [len(each) for each in trained.values()] == expected
    assert [name for name, role in roles_of(model).items() if role is Role.ADAPTER] == list(trained)
    circuit, angles = model.base_model.model.second.circuit("default")
    assert circuit == load_circuit(form, 3 if form == "brickwork" else 4)
    assert torch.equal(angles, [*trained.values()][1])


@pytest.mark.parametrize("form", FORMS)
def test_the_weight_is_turned_and_the_bias_stays(form):
    model = adapted(form, torch.float64)
    for name, blocks in (("first", 3), ("second", 1), ("third", 3)):
        layer = getattr(model.base_model.model, name)
        weight = layer.weight.T if name == "second" else layer.weight
        turn = layer.circuit_matrix["default"].transposed(layer.circuit_angles["default"][0]).T
        expected = torch.block_diag(*[turn] * blocks) @ weight
        delta = layer.get_delta_weight("default")
        torch.testing.assert_close((delta.T if name == "second" else delta) + weight, expected)
        inputs = torch.randn(2, 7, weight.shape[1], dtype=torch.float64)
        bias = 0 if layer.bias is None else layer.bias
        torch.testing.assert_close(layer(inputs), inputs @ expected.T + bias)


@pytest.mark.parametrize("form", FORMS)
def test_merged_and_unmerged_agree(form):
    model = adapted(form)
    expected, before = model(rows()), copy.deepcopy(model.state_dict())
    model.merge_adapter(safe_merge=True)
    torch.testing.assert_close(model(rows()), expected, atol=1e-5, rtol=0)
    model.unmerge_adapter()
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(tensor, before[name], atol=1e-6, rtol=0)
    with model.disable_adapter():
        torch.testing.assert_close(model(rows()), net()(rows()), atol=1e-5, rtol=0)
    torch.testing.assert_close(model.merge_and_unload()(rows()), expected, atol=1e-5, rtol=0)


def test_two_adapters_act_one_after_the_other():
    model = adapted("long-range-encoder")
    model.add_adapter("other", CircuitConfig(target_modules=NAMES, circuit="brickwork"))
    model.set_adapter("other")
    shake(model, seed=3)
    model.base_model.set_adapter(["default", "other"])
    expected = model(rows())
    layer = model.base_model.model.third
    turns = [
        torch.block_diag(*[layer.circuit_matrix[name].transposed(layer.circuit_angles[name][0]).T] * 3)
        for name in ("default", "other")
    ]
    torch.testing.assert_close(
        layer(torch.eye(16)), (turns[1] @ turns[0] @ layer.weight).T, atol=1e-5, rtol=0
    )
    model.merge_adapter(["default", "other"])
    torch.testing.assert_close(model(rows()), expected, atol=2e-5, rtol=0)
    model.unmerge_adapter()
    torch.testing.assert_close(model(rows()), expected, atol=2e-5, rtol=0)
    model.delete_adapter("other")
    assert layer.active_adapters == ["default"]


@pytest.mark.parametrize(
    "form", [*FORMS, Circuit.of(3, [gate("CRY", (2, 0), Weight(0))], name="own")], ids=str
)
def test_a_reloaded_adapter_gives_the_same_bits(form, tmp_path):
    model = adapted(form)
    model.save_pretrained(tmp_path)
    loaded = PeftModel.from_pretrained(net(), tmp_path, adapter_name="renamed")
    assert torch.equal(loaded(rows()), model(rows()))
    with torch.no_grad():
        assert torch.equal(model(rows()), loaded(rows()))


@pytest.mark.parametrize("form", FORMS)
def test_gradients_are_finite_differences(form):
    model = adapted(form, torch.float64)
    angles = model.base_model.model.first.circuit_angles["default"][0]
    model(rows(torch.float64)).square().sum().backward()
    with torch.no_grad():
        for at in range(0, len(angles), 5):
            values = []
            for sign in (1, -1):
                angles[at] += sign * 1e-6
                values.append(float(model(rows(torch.float64)).square().sum()))
                angles[at] -= sign * 1e-6
            assert angles.grad[at] == pytest.approx((values[0] - values[1]) / 2e-6, rel=1e-6, abs=1e-8)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"circuit": "buterfly"}, "unknown circuit 'buterfly'.*did you mean 'butterfly'"),
        ({"options": {"layer": 2}}, "layer 'first' cannot be adapted: .*did you mean 'layers'"),
        ({"qubits": 4}, "layer 'first' .* real circuit on 4 qubits acts on blocks of 16 outputs of 24"),
        (
            {"qubits": 3, "circuit": "brickwork"},
            "complex circuit on 3 qubits acts on blocks of 16 outputs of 24",
        ),
        ({"circuit": "iqp-feature-map"}, "circuit 'iqp-feature-map' has no weights"),
        ({"circuit": load_circuit("butterfly", 3), "qubits": 3}, "laid out was given with options or qubits"),
        ({"target_modules": ["head"]}, "layer 'head' cannot be adapted"),
    ],
)
def test_refusals_are_one_line_and_leave_the_model(options, message):
    model = net()
    with pytest.raises(InputError, match=message) as caught:
        get_peft_model(model, CircuitConfig(**{"target_modules": NAMES, **options}))
    assert "\n" not in str(caught.value)
    assert isinstance(model.first, nn.Linear)
