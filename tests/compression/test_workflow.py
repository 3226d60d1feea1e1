"""A language model from end to end: measured, compressed, saved, and loaded again."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from compression.language_models import write_model, write_text

from hybridqies.cli.app import run
from hybridqies.compression import (
    CompressedLinear,
    CompressionConfig,
    Perplexity,
    compress,
    cut_windows,
    load_causal_model,
    load_compressed,
    measure_perplexity,
    save_compressed,
    shrink,
    spare_sensitive,
)
from hybridqies.errors import DataError, InputError, ModelFolderError
from hybridqies.tensors import load_tensors, save_tensors

IDS = torch.arange(1, 17)[None]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_text(tmp_path_factory.mktemp("texts") / "words.txt")


def configure(model: Path, text: Path, **given: Any) -> CompressionConfig:
    chosen = {"method": "wmpo", "keep": 0.5, "layers": ("k_proj", "up_proj"), "windows": 3, "width": 16}
    return CompressionConfig(str(model), text=text, **{**chosen, **given})


def logits_of(model: Any) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model(input_ids=IDS).logits
    return found


def test_perplexity_is_the_exponential_of_the_mean_loss(model):
    loaded, _ = load_causal_model(str(model))
    windows = torch.stack([IDS[0], IDS[0].flip(0)])
    theirs = [float(loaded(input_ids=each[None], labels=each[None]).loss.detach()) for each in windows]
    assert measure_perplexity(loaded, windows).interval.value == pytest.approx(math.exp(sum(theirs) / 2))


def test_ratios_are_paired_by_window():
    first, second = Perplexity((1.0, 3.0), 1.0), Perplexity((0.5, 2.5), 1.0)
    ratio = first.ratio_to(second)
    assert (ratio.low, ratio.value, ratio.high) == pytest.approx((math.exp(0.5),) * 3)
    # Two values: half their difference times the t quantile for one degree of freedom, 12.706.
    assert first.interval.high == pytest.approx(math.exp(2 + 12.7062), rel=1e-4)


def test_the_report_holds_every_control_at_equal_layers(model, text, tmp_path):
    report = shrink(configure(model, text), tmp_path / "out")
    arms = {arm["arm"]: arm for arm in report["arms"]}
    assert list(arms) == ["untouched", "wmpo", "svd", "wsvd", "zero", "gaussian"]
    whole = arms["untouched"]["layer_parameters"]
    assert whole == 2 * (8 * 16 + 24 * 16)
    assert arms["zero"]["layer_parameters"] == 0
    assert arms["gaussian"]["layer_parameters"] == whole
    assert all(arms[name]["layer_parameters"] <= whole / 2 for name in ("wmpo", "svd", "wsvd"))
    assert arms["untouched"]["ratio"] == {"value": 1.0, "low": 1.0, "high": 1.0}
    assert arms["zero"]["weight_error"] == pytest.approx(1)
    assert arms["untouched"]["parameters"] - arms["zero"]["parameters"] == whole
    assert json.loads((tmp_path / "out" / "compression.json").read_text()) == report


def test_a_factorised_model_reloads_bit_for_bit_with_its_tied_weights(model, text, tmp_path):
    report = shrink(configure(model, text), tmp_path / "out")
    again = load_compressed(tmp_path / "out")
    assert sum(each.numel() for each in again.parameters()) == report["arms"][1]["parameters"]
    assert again.lm_head.weight is again.model.embed_tokens.weight
    windows = cut_windows(load_causal_model(str(model))[1](text.read_text())["input_ids"], 6, 16)[3:]
    assert measure_perplexity(again, windows).interval.value == report["arms"][1]["perplexity"]["value"]


def test_an_encoder_is_compressed_saved_and_loaded_in_the_same_way(tmp_path):
    from transformers import BertConfig, BertModel

    sizes = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4}
    encoder = BertModel(BertConfig(vocab_size=32, **sizes)).bfloat16().eval()
    records = compress(encoder, "mpo", 0.5, ["query", "*.intermediate.dense"])
    assert len(records) == 4
    save_compressed(encoder, tmp_path)
    again = load_compressed(tmp_path)
    assert torch.equal(again(input_ids=IDS)[0], encoder(input_ids=IDS)[0])


def test_a_dense_export_is_a_plain_model_with_the_same_outputs(model, text, tmp_path):
    shrink(configure(model, text), tmp_path / "small")
    shrink(configure(model, text, export="dense"), tmp_path / "dense")
    plain, tokenizer = load_causal_model(str(tmp_path / "dense"))
    assert type(plain.model.layers[0].self_attn.k_proj) is torch.nn.Linear
    assert tokenizer("w3 w4")["input_ids"] == [4, 5]
    assert torch.dist(logits_of(plain), logits_of(load_compressed(tmp_path / "small"))) < 1e-4
    assert torch.dist(logits_of(plain), logits_of(load_causal_model(str(model))[0])) > 0.1


@pytest.mark.parametrize("forward", ["factorised", "rebuilt"])
def test_the_way_to_multiply_is_kept_with_the_model(model, text, tmp_path, forward):
    shrink(configure(model, text, forward=forward), tmp_path / "out")
    again = load_compressed(tmp_path / "out")
    assert {each.forward_by for each in again.modules() if isinstance(each, CompressedLinear)} == {forward}


def test_sensitive_layers_are_spared_and_the_others_pay(model, text, tmp_path):
    report = shrink(configure(model, text, method="svd", spare=0.2, profile=True), tmp_path / "out")
    assert [row["name"] for row in report["profile_by_type"]] == ["k_proj", "up_proj"]
    assert [row["n_layers"] for row in report["profile"]] == [1] * 4
    # Only the small layers fit in a fifth of the parameters, and only one of them.
    assert [name.rpartition(".")[2] for name in report["spared"]] in (["k_proj"], [])
    assert report["arms"][1]["layer_parameters"] <= 0.5 * report["arms"][0]["layer_parameters"]


def test_the_plan_keeps_the_total():
    found = {"a": 1.1, "b": 0.1, "c": 0.7}
    shares = spare_sensitive(found, {"a": 100, "b": 100, "c": 100}, keep=0.5, spare=0.4)
    assert shares == {"b": pytest.approx(0.25), "c": pytest.approx(0.25)}
    with pytest.raises(InputError, match="less than keep"):
        spare_sensitive(found, {"a": 1, "b": 1, "c": 1}, keep=0.5, spare=0.5)


def test_the_command_prints_all_arms_and_says_where_the_model_is(model, text, tmp_path, capsys):
    flags = ["--layers", "k_proj", "--text", str(text), "--windows", "2", "--width", "16", "--profile"]
    assert run(["compress", str(model), *flags, "--out", str(tmp_path / "a")]) == 0
    printed = capsys.readouterr().out
    assert all(arm in printed for arm in ("untouched", "wsvd", "svd", "zero", "gaussian", "compression.json"))
    assert "model.layers.1.self_attn.k_proj" in printed
    assert run(["compress", str(model), *flags, "--out", str(tmp_path / "b"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["config"]["method"] == "wsvd"


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--layers", "k_prj"], "did you mean 'k_proj'"),
        (["--layers", "lm_head"], "shares its weight with 'model.embed_tokens.weight'"),
        (["--layers", "k_proj", "--method", "wsdv"], "did you mean 'wsvd'"),
        (["--layers", "k_proj", "--keep", "2"], "above 0 and up to 1"),
        (["--layers", "k_proj", "--spare", "0.5"], "less than keep"),
        (["--layers", "k_proj", "--export", "onnx"], "factorised or dense"),
        (["--layers", "k_proj", "--forward", "fast"], "one of factorised, rebuilt"),
        (["--layers", "k_proj", "--windows", "100"], "the text has 200 tokens"),
        (["--layers", "k_proj", "--windows", "1"], "2 or more of each"),
    ],
)
def test_bad_input_is_one_line_and_leaves_no_folder(model, text, tmp_path, capsys, flags, said):
    arguments = ["compress", str(model), "--text", str(text), "--width", "16", *flags]
    assert run([*arguments, "--out", str(tmp_path / "out")]) == 2
    complaint = capsys.readouterr().err
    assert said in complaint
    assert complaint.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_models_that_are_missing_or_of_another_kind_are_refused(tmp_path):
    with pytest.raises(InputError, match="cannot be loaded"):
        load_causal_model(str(tmp_path / "nowhere"))
    (tmp_path / "config.json").write_text('{"model_type": "bert", "architectures": ["BertModel"]}')
    with pytest.raises(InputError, match="is a BertModel; expected a causal language model"):
        load_causal_model(str(tmp_path))


@pytest.mark.parametrize(
    "asked",
    [
        {"attn_implementation": "stranger/kernels"},
        {"_attn_implementation": "stranger/kernels"},
        {"trust_remote_code": True},
        {"text_config": {"use_kernels": True}},
    ],
)
def test_code_from_elsewhere_is_not_run(model, text, tmp_path, asked):
    shutil.copytree(model, tmp_path / "asking")
    compressed, _ = load_causal_model(str(model))
    compress(compressed, "svd", 0.5, ["k_proj"])
    (tmp_path / "compressed").mkdir()
    save_compressed(compressed, tmp_path / "compressed")
    for folder, load in (("asking", load_causal_model), ("compressed", load_compressed)):
        path = tmp_path / folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | asked))
        with pytest.raises(InputError, match=r"config\.json asks for code from elsewhere"):
            load(str(tmp_path / folder))


def test_only_a_model_of_transformers_is_made(model, tmp_path):
    compressed, _ = load_causal_model(str(model))
    compress(compressed, "svd", 0.5, ["k_proj"])
    save_compressed(compressed, tmp_path)
    tensors, record = load_tensors(tmp_path / "compressed.safetensors")
    save_tensors(tmp_path / "compressed.safetensors", tensors, {**record, "class": "pipeline"})
    with pytest.raises(ModelFolderError, match="pipeline is no model of transformers"):
        load_compressed(tmp_path)


def test_an_existing_folder_is_left_as_it_is(model, text, tmp_path):
    (tmp_path / "kept").write_text("mine")
    with pytest.raises(InputError, match="exists"):
        shrink(configure(model, text), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_a_damaged_folder_is_refused(model, text, tmp_path):
    shrink(configure(model, text, method="svd"), tmp_path / "out")
    file = tmp_path / "out" / "compressed.safetensors"
    whole = file.read_bytes()
    file.write_bytes(whole[:-4] + b"\0\0\0\1")
    with pytest.raises(ModelFolderError, match="damaged"):
        load_compressed(tmp_path / "out")
    file.write_bytes(whole)
    assert load_tensors(file)[1]["class"] == "LlamaForCausalLM"
    (tmp_path / "out" / "config.json").unlink()
    with pytest.raises(ModelFolderError, match="cannot be loaded"):
        load_compressed(tmp_path / "out")


def test_a_text_that_is_too_short_is_refused():
    with pytest.raises(DataError, match="has 3 tokens"):
        cut_windows([1, 2, 3], 2, 2)
