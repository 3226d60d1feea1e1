"""The checks that peft makes of each of its methods, on small models of the kinds that users adapt."""

from __future__ import annotations

import copy
import json
import warnings
from itertools import pairwise
from typing import Any

import pytest
import torch
from adapter_rows import METHODS, ROWS, Case, shake
from peft import (
    PeftConfig,
    PeftModel,
    get_peft_model,
    get_peft_model_state_dict,
    inject_adapter_in_model,
    set_peft_model_state_dict,
)
from peft.tuners.tuners_utils import BaseTunerLayer
from safetensors.torch import load_file, save_file
from torch.nn.functional import mse_loss

from hybridqies.errors import InputError

# In the short form each method and each kind of model occurs once; the rest of the table is slow.
SHORT = {("quanta-frozen", "llama"), ("quanta-zero", "perceptron"), ("circuit", "words")}
CASES = [
    pytest.param(
        Case(method, row),
        id=f"{method}-{model}",
        marks=() if (method, model) in SHORT else pytest.mark.slow,
    )
    for method in METHODS
    for model, row in ROWS.items()
]
EXACT: dict[str, Any] = {"atol": 1e-11, "rtol": 0}


@pytest.fixture(params=CASES)
def case(request) -> Case:
    torch.manual_seed(0)
    return request.param


def layers_of(model) -> list[BaseTunerLayer]:
    return [module for module in model.modules() if isinstance(module, BaseTunerLayer)]


def plain(case) -> torch.Tensor:
    """What the model gives without an adapter."""
    return case.run(case.row.build())


def values(model) -> dict[str, torch.Tensor]:
    return {name: each.clone() for name, each in model.state_dict().items()}


def test_start_gives_the_outputs_of_the_model_and_training_others(case) -> None:
    model = case.adapted(shaken=False)
    torch.testing.assert_close(case.run(model), plain(case), **EXACT)
    assert len(layers_of(model)) == sum(
        name.endswith(case.row.targets) for name, _ in case.row.build().named_modules()
    )
    assert (case.run(shake(model, 2)) - plain(case)).abs().max() > 1e-3


def test_repeated_calls_give_the_same_bits(case) -> None:
    model = case.adapted()
    expected = case.run(model)
    for found in (case.run(model), case.row.run(model), case.run(copy.deepcopy(model))):
        assert torch.equal(found, expected)


def test_saved_adapter_is_loaded_under_any_name(case, tmp_path) -> None:
    model = case.adapted()
    model.save_pretrained(tmp_path)
    assert {each.name for each in tmp_path.iterdir()} == {
        "README.md",
        "adapter_config.json",
        "adapter_model.safetensors",
    }
    for options in ({}, {"adapter_name": "renamed"}, {"low_cpu_mem_usage": True}, {"is_trainable": True}):
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            loaded = PeftModel.from_pretrained(case.row.build(), tmp_path, **options)
        assert not [each for each in told if "adapter keys" in str(each.message)]
        assert torch.equal(case.run(loaded), case.run(model))
        trains = any(each.requires_grad for each in loaded.parameters())
        assert trains == ("is_trainable" in options)
        assert not any(each.is_meta for each in loaded.parameters())


def test_configuration_survives_saving(case, tmp_path) -> None:
    model = case.adapted(exclude_modules=["nothing_of_that_name"])
    model.save_pretrained(tmp_path)
    saved = model.peft_config["default"]
    loaded = PeftConfig.from_pretrained(tmp_path)
    assert type(loaded) is type(saved)
    assert loaded.inference_mode
    for name, value in loaded.to_dict().items():
        # Written when it is saved: the class of the model, and that it is loaded to be used.
        assert name in ("auto_mapping", "inference_mode") or value == saved.to_dict()[name], name
    assert json.loads((tmp_path / "adapter_config.json").read_text())["peft_type"] == saved.peft_type.value


def test_keys_of_a_checkpoint_do_not_depend_on_the_name(case, tmp_path) -> None:
    keys = set()
    for name in ("default", "other"):
        case.adapted(adapter_name=name).save_pretrained(tmp_path)
        folder = tmp_path if name == "default" else tmp_path / name
        found = load_file(folder / "adapter_model.safetensors")
        assert not [key for key in found if name in key.split(".")]
        keys.add(tuple(sorted(found)))
    assert len(keys) == 1


def test_one_of_several_adapters_is_saved(case, tmp_path) -> None:
    model = case.adapted()
    for name in ("default2", "other_default", "foodefault_bar", "efaul"):
        model.add_adapter(name, case.config())
    model.save_pretrained(tmp_path, selected_adapters=["default"])
    saved = load_file(tmp_path / "adapter_model.safetensors")
    assert saved.keys() == get_peft_model_state_dict(case.adapted()).keys()
    assert torch.equal(case.run(PeftModel.from_pretrained(case.row.build(), tmp_path)), case.run(model))


def test_several_adapters_are_saved_and_loaded(case, tmp_path) -> None:
    model = case.with_two()
    model.save_pretrained(tmp_path)
    loaded = PeftModel.from_pretrained(case.row.build(), tmp_path)
    loaded.load_adapter(tmp_path / "other", "other")
    assert loaded.state_dict().keys() == model.state_dict().keys()
    for name in ("default", "other", "default"):
        loaded.set_adapter(name)
        model.set_adapter(name)
        assert torch.equal(case.run(loaded), case.run(model))


def test_merging_and_unmerging(case) -> None:
    model = case.adapted()
    expected, before = case.run(model), values(model)
    for safe in (False, True):
        model.merge_adapter(safe_merge=safe)
        torch.testing.assert_close(case.run(model), expected, **EXACT)
        model.unmerge_adapter()
        assert not any(layer.merged for layer in layers_of(model))
        for name, tensor in values(model).items():
            torch.testing.assert_close(tensor, before[name], **EXACT)


def test_merging_twice_changes_nothing_and_warns(case) -> None:
    model = case.adapted()
    model.merge_adapter()
    expected = case.run(model)
    with pytest.warns(UserWarning, match="All adapters are already merged, nothing to do"):
        model.merge_adapter()
    assert torch.equal(case.run(model), expected)


@pytest.mark.parametrize("broken", [torch.nan, torch.inf])
def test_safe_merge_refuses_what_is_not_finite(case, broken) -> None:
    model = case.adapted()
    for layer in layers_of(model):
        next(getattr(layer, layer.adapter_layer_names[0])["default"].parameters()).data.fill_(broken)
    before = values(model)
    with pytest.raises(InputError, match="adapter 'default' makes weights that are NaN or infinite"):
        model.merge_and_unload(safe_merge=True)
    for name, tensor in values(model).items():
        torch.testing.assert_close(tensor, before[name], atol=0, rtol=0, equal_nan=True)
    assert not any(layer.merged for layer in layers_of(model))


def test_merged_and_unloaded_model_is_a_plain_one(case, tmp_path) -> None:
    model = case.adapted()
    expected, types = case.run(model), [type(each) for each in case.row.build().modules()]
    merged = model.merge_and_unload()
    assert [type(each) for each in merged.modules()] == types
    assert not hasattr(merged, "peft_config")
    torch.testing.assert_close(case.run(merged), expected, **EXACT)
    state = {name: each.clone() for name, each in merged.state_dict().items()}
    save_file(state, tmp_path / "model.safetensors")
    again = case.row.build()
    again.load_state_dict(load_file(tmp_path / "model.safetensors"))
    assert torch.equal(case.run(again), case.run(merged))


def test_unloaded_model_is_the_one_that_was_given(case) -> None:
    unloaded = case.adapted().unload()
    assert not layers_of(unloaded)
    assert torch.equal(case.run(unloaded), plain(case))


@pytest.mark.parametrize("merged", [False, True])
def test_disabling(case, merged) -> None:
    model = case.adapted()
    if merged:
        model.merge_adapter()
    expected = case.run(model)
    with model.disable_adapter():
        torch.testing.assert_close(case.run(model), plain(case), **EXACT)
    torch.testing.assert_close(case.run(model), expected, **EXACT)


def test_two_adapters_at_once(case) -> None:
    model = case.with_two()
    outputs = [plain(case), case.run(model)]
    model.set_adapter("other")
    outputs.append(case.run(model))
    model.base_model.set_adapter(["default", "other"])
    outputs.append(case.run(model))
    assert all((first - second).abs().max() > 1e-3 for first, second in pairwise(outputs))
    for names in (["default", "other"], ["default"], ["other"]):
        model.base_model.set_adapter(names)
        expected = case.run(model)
        torch.testing.assert_close(
            case.run(copy.deepcopy(model).merge_and_unload(adapter_names=names)), expected, **EXACT
        )
    model.merge_adapter(["default"])
    model.merge_adapter(["other"])
    torch.testing.assert_close(case.run(model), outputs[-1], **EXACT)
    model.unmerge_adapter()
    with model.disable_adapter():
        torch.testing.assert_close(case.run(model), outputs[0], **EXACT)


def test_set_adapter_moves_gradients_and_outputs(case) -> None:
    model = case.with_two()
    for name, other in (("other", "default"), ("default", "other")):
        model.set_adapter(name)
        assert model.active_adapters == [name]
        trained = [key for key, each in model.named_parameters() if each.requires_grad]
        assert trained
        assert all(name in key.split(".") and other not in key.split(".") for key in trained)


def test_deleting(case) -> None:
    model = case.with_two()
    expected = case.run(model)
    with pytest.raises(ValueError, match="unknown"):
        model.delete_adapter("unknown")
    model.delete_adapter("other")
    assert torch.equal(case.run(model), expected)
    for layer in layers_of(model):
        assert not [name for name in _stores(layer) if "other" in getattr(layer, name)]
    assert not [key for key in model.state_dict() if "other" in key.split(".")]
    model.add_adapter("other", case.config())
    model.delete_adapter("default")
    assert model.active_adapters == ["other"]
    torch.testing.assert_close(case.run(model), plain(case), **EXACT)


def _stores(layer) -> list[str]:
    """What a layer keeps for each adapter, by name."""
    return [*layer.adapter_layer_names, *layer.other_param_names, "merged_adapters", "active_adapters"]


def test_merged_adapter_is_not_deleted(case) -> None:
    model = case.with_two()
    model.merge_adapter(["default"])
    with pytest.raises(ValueError, match="while they are merged"):
        model.delete_adapter("default")
    assert all(layer.has("default") for layer in layers_of(model))
    model.delete_adapter("other")


def test_modules_to_save_are_trained_saved_and_kept_apart(case, tmp_path) -> None:
    model = case.adapted(modules_to_save=[case.row.saved])
    trained = [key for key, each in model.named_parameters() if each.requires_grad]
    assert [key for key in trained if "modules_to_save.default" in key]
    model.save_pretrained(tmp_path)
    loaded = PeftModel.from_pretrained(case.row.build(), tmp_path, adapter_name="renamed")
    assert torch.equal(case.run(loaded), case.run(model))
    expected = case.run(model)
    with model.disable_adapter():
        torch.testing.assert_close(case.run(model), plain(case), **EXACT)
    torch.testing.assert_close(case.run(model.merge_and_unload()), expected, **EXACT)


def test_training_moves_adapters_alone(case) -> None:
    model = case.adapted(shaken=False).train()
    before = values(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    for _ in range(3):
        optimizer.zero_grad()
        found = case.row.run(model)
        mse_loss(found, torch.linspace(-1, 1, found.numel()).reshape(found.shape).to(found)).backward()
        optimizer.step()
    for name, each in model.named_parameters():
        assert (each.grad is not None) == each.requires_grad
        assert torch.equal(each, before[name]) != each.requires_grad, name
        assert not each.requires_grad or model.prefix in name


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("autocast", [True, False])
def test_low_precision(case, dtype, autocast, tmp_path) -> None:
    model = case.adapted(dtype, autocast_adapter_dtype=autocast)
    own = {each.dtype for name, each in model.named_parameters() if model.prefix in name}
    assert own == {torch.float32 if autocast else dtype}
    expected = case.run(model)
    assert expected.dtype == dtype
    assert expected.isfinite().all()
    # A weight is rounded once when an adapter is merged, and once when it is taken out.
    near: dict[str, Any] = {"atol": 40 * torch.finfo(dtype).eps, "rtol": 0}
    for safe in (False, True):
        model.merge_adapter(safe_merge=safe)
        torch.testing.assert_close(case.run(model), expected, **near)
        model.unmerge_adapter()
        torch.testing.assert_close(case.run(model), expected, **near)
    model.save_pretrained(tmp_path)
    merged = model.merge_and_unload()
    assert {each.dtype for each in merged.parameters()} == {dtype}
    torch.testing.assert_close(case.run(merged), expected, **near)
    for low in (False, True):
        loaded = PeftModel.from_pretrained(
            case.row.build(dtype), tmp_path, autocast_adapter_dtype=autocast, low_cpu_mem_usage=low
        )
        assert {each.dtype for name, each in loaded.named_parameters() if model.prefix in name} == own


def test_state_is_read_and_set_without_a_folder(case) -> None:
    model = case.adapted()
    state = get_peft_model_state_dict(model)
    other = case.adapted(shaken=False, adapter_name="other")
    result = set_peft_model_state_dict(other, state, adapter_name="other")
    assert not result.unexpected_keys
    assert torch.equal(case.run(other), case.run(model))
    injected = inject_adapter_in_model(case.config(), case.row.build())
    set_peft_model_state_dict(injected, state)
    assert torch.equal(case.run(injected), case.run(model))


def test_layers_tell_their_widths_and_are_printed(case) -> None:
    model = case.adapted()
    for layer in layers_of(model):
        assert layer(torch.zeros(1, layer.in_features, dtype=torch.float64)).shape == (1, layer.out_features)
    assert model.prefix.removesuffix("_") in repr(model)


def test_names_by_expression_and_layers_by_number(case) -> None:
    expression = rf".*({'|'.join(case.row.targets)})"
    assert len(layers_of(case.adapted(target_modules=expression))) == len(layers_of(case.adapted()))
    numbered = [name for name, _ in case.row.build().named_modules() if ".1." in name]
    if numbered:
        model = case.adapted(layers_to_transform=[1])
        assert len(layers_of(model)) == len(layers_of(case.adapted())) // 2
        assert all(".1." in name for name, each in model.named_modules() if isinstance(each, BaseTunerLayer))


def test_name_that_is_taken_is_refused(case) -> None:
    model = case.adapted()
    expected = case.run(model)
    with pytest.raises(ValueError, match="already exists"):
        model.add_adapter("default", case.config())
    assert torch.equal(case.run(model), expected)


@pytest.mark.parametrize("reentrant", [True, False])
@pytest.mark.parametrize("method", METHODS)
def test_checkpointing_gives_the_same_gradients(method, reentrant) -> None:
    gradients = []
    for checkpointed in (False, True):
        case = Case(method, ROWS["llama"])
        torch.manual_seed(0)
        model = case.adapted().train()
        if checkpointed:
            model.enable_input_require_grads()
            model.gradient_checkpointing_enable({"use_reentrant": reentrant})
        case.row.run(model).square().mean().backward()
        gradients.append({name: each.grad for name, each in model.named_parameters() if each.requires_grad})
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, **EXACT)


@pytest.mark.parametrize("method", METHODS)
def test_decoder_generates_and_its_adapter_is_switched(method) -> None:
    case = Case(method, ROWS["llama"])
    model = case.adapted()
    prompt = case.row.inputs()[:1]
    with_adapter = model.generate(input_ids=prompt, max_new_tokens=3, do_sample=False, pad_token_id=0)
    merged = case.adapted().merge_and_unload()
    assert torch.equal(
        merged.generate(input_ids=prompt, max_new_tokens=3, do_sample=False, pad_token_id=0), with_adapter
    )


def test_embedding_is_refused() -> None:
    for method in METHODS:
        case = Case(method, ROWS["words"])
        base = case.row.build()
        with pytest.raises(InputError, match="layer 'embedding' cannot be adapted: a Embedding was to get"):
            get_peft_model(base, case.config(target_modules=["embedding", "mixed"]))
        assert not layers_of(base)
