"""What cannot work is refused in one line, before it changes a model or a file."""

from __future__ import annotations

import warnings

import pytest
import torch
from adapter_rows import METHODS, ROWS, SIZES, Case, Perceptron, shake
from peft import PeftModel, get_peft_model
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn
from transformers import GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from hybridqies.adapters import CircuitConfig, QuantaConfig
from hybridqies.errors import InputError, UnknownNameError


class Narrower(Perceptron):
    """As the perceptron, with other widths behind the same names."""

    def __init__(self) -> None:
        super().__init__()
        self.lin0 = nn.Linear(10, 16)
        self.lin1 = nn.Linear(16, 12, bias=False)


def tied() -> nn.Module:
    return LlamaForCausalLM(LlamaConfig(**SIZES, tie_word_embeddings=True))


def shared() -> nn.Module:
    layer = nn.Linear(8, 8)
    return nn.Sequential(layer, nn.ReLU(), layer)


def refuse(base, config, match, **options) -> None:
    """One line, and no layer is replaced."""
    with pytest.raises(InputError, match=match) as caught:
        get_peft_model(base, config, **options)
    assert "\n" not in str(caught.value)
    assert not [each for each in base.modules() if isinstance(each, BaseTunerLayer)]


TARGETS = [
    (
        Perceptron,
        {"target_modules": ["head"]},
        "layer 'head' cannot be adapted: a layer has width 3, which does not",
    ),
    (Perceptron, {"target_modules": ["lin2"]}, "unknown layer 'lin2'.*did you mean 'lin1'"),
    (
        Perceptron,
        {"target_modules": ["lin*", "x*"]},
        r"unknown layer 'x\*'; expected one of head, lin0, lin1",
    ),
    (Perceptron, {"target_modules": "lin2"}, "unknown layer 'lin2'.*did you mean 'lin1'"),
    (Perceptron, {"target_modules": "in0"}, "unknown layer 'in0'.*Or give an expression for whole names"),
    (
        tied,
        {"target_modules": ["lm_head"]},
        "layer 'lm_head' shares its weight with 'model.embed_tokens.weight'",
    ),
    (tied, {"target_modules": ["embed_tokens"]}, "'model.embed_tokens' cannot be adapted: a Embedding was"),
    (shared, {"target_modules": ["0"]}, "layer '0' shares its weight with '2.weight'"),
]


@pytest.mark.filterwarnings("ignore:Model has `tie_word_embeddings=True`")
@pytest.mark.parametrize(("make", "options", "message"), TARGETS)
def test_layers(make, options, message) -> None:
    refuse(make(), QuantaConfig(n_axes=2, **options), message)
    if "width 3" not in message:
        refuse(make(), CircuitConfig(**options), message)


def test_layers_whose_weights_are_read_without_a_call() -> None:
    """torch's own layers for attention: an adapter would be ignored without a word."""

    def make():
        torch.manual_seed(0)
        return nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, dtype=torch.float64).eval()

    refuse(
        make(), QuantaConfig(target_modules=["out_proj"]), "MultiheadAttention reads its weight.*leave this"
    )
    config = QuantaConfig(target_modules=["linear1", "linear2"])
    refuse(make(), config, r"TransformerEncoderLayer reads its weight.*set_fastpath_enabled\(False\) before")
    inputs = torch.randn(2, 3, 8, dtype=torch.float64)
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        model = shake(get_peft_model(make(), config), 2)
        with torch.no_grad():
            found = model(inputs)
    finally:
        torch.backends.mha.set_fastpath_enabled(True)
    torch.testing.assert_close(found, model.merge_and_unload()(inputs))
    assert (found - make()(inputs)).abs().max() > 1e-3


NAMES = [
    "",
    "a.b",
    "a/b",
    "a\\b",
    "..",
    "a\n",
    "0",
    "12",
    "lin0",
    "weight",
    "base_layer",
    "model",
    "keys",
    "to",
]


@pytest.mark.parametrize("name", [*NAMES, "quanta_gates", "quanta_start"])
def test_names_that_damage_files_of_adapters(name) -> None:
    case = Case("quanta-frozen", ROWS["perceptron"])
    refuse(case.row.build(), case.config(), "an adapter was to be called", adapter_name=name)
    model = case.adapted()
    expected = model.state_dict()
    with pytest.raises(InputError, match="give another name, such as 'default'"):
        model.add_adapter(name, case.config())
    assert model.state_dict().keys() == expected.keys()
    assert list(model.peft_config) == ["default"]


@pytest.mark.parametrize("name", ["layer", "quanta", "lin", "second_default", "é", "a b", "v1-2"])
def test_names_that_are_like_others_lose_nothing(name, tmp_path) -> None:
    case = Case("quanta-zero", ROWS["perceptron"])
    model = case.with_two()
    model.add_adapter(name, case.config())
    expected = case.run(model)
    model.save_pretrained(tmp_path)
    loaded = PeftModel.from_pretrained(case.row.build(), tmp_path)
    assert torch.equal(case.run(loaded), expected)
    loaded.load_adapter(tmp_path / name, name)
    assert loaded.state_dict().keys() == {key for key in model.state_dict() if "other" not in key.split(".")}


@pytest.mark.parametrize("method", METHODS)
def test_an_adapter_of_a_base_with_other_widths(method, tmp_path) -> None:
    case = Case(method, ROWS["perceptron"])
    case.adapted().save_pretrained(tmp_path)
    # 24 and 16 outputs: circuits on 3 and 4 qubits.
    with pytest.raises(
        InputError, match=r"the adapter has shape \(.*\) at 'lin0.*', which is \(.*\) here"
    ) as caught:
        PeftModel.from_pretrained(Narrower().double(), tmp_path)
    assert "\n" not in str(caught.value)


def test_an_adapter_of_a_base_with_other_layers(tmp_path) -> None:
    case = Case("quanta-frozen", ROWS["llama"])
    case.adapted().save_pretrained(tmp_path)

    def deeper(n_layers):
        config = LlamaConfig(**{**SIZES, "num_hidden_layers": n_layers}, tie_word_embeddings=False)
        return LlamaForCausalLM(config).double()

    with pytest.raises(InputError, match=r"has a tensor for 'model.layers.1.*', which this model lacks"):
        PeftModel.from_pretrained(deeper(1), tmp_path)
    with pytest.raises(InputError, match=r"has no tensor for 'model.layers.2.*', which has one here"):
        PeftModel.from_pretrained(deeper(3), tmp_path)
    with pytest.raises(UnknownNameError, match=r"unknown layer '(q_proj|down_proj)'"):
        PeftModel.from_pretrained(GPT2LMHeadModel(ROWS["gpt2"].build().config), tmp_path)


def load_with_warnings(base, folder) -> list[str]:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        PeftModel.from_pretrained(base, folder)
    return [str(each.message) for each in told if "other weights" in str(each.message)]


@pytest.mark.parametrize(("method", "model"), [("quanta-frozen", "perceptron"), ("circuit", "words")])
def test_a_base_with_other_weights_is_told_of(method, model, tmp_path) -> None:
    case = Case(method, ROWS[model])
    adapted = case.adapted()
    adapted.save_pretrained(tmp_path)
    for dtype in (torch.float64, torch.float32, torch.bfloat16, torch.float16):
        assert not load_with_warnings(case.row.build(dtype), tmp_path)
    adapted.merge_adapter()
    adapted.save_pretrained(tmp_path)
    torch.manual_seed(7)
    (message,) = load_with_warnings(case.row.make(), tmp_path)
    assert "load it into the model that it was trained on" in message


def test_an_adapter_saved_without_signs_is_loaded(tmp_path) -> None:
    case = Case("circuit", ROWS["perceptron"])
    model = case.adapted()
    model.save_pretrained(tmp_path)
    file = tmp_path / "adapter_config.json"
    signs = model.peft_config["default"].base_signs
    file.write_text(file.read_text().replace(f'"{signs}"', "null"))
    torch.manual_seed(7)
    assert not load_with_warnings(Perceptron(), tmp_path)
