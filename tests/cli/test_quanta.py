"""`hybridqies quanta`: clusters as text, and refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from cli.program import Say

from hybridqies.cli.app import BAD_INPUT, run
from hybridqies.language_model import LanguageModel
from hybridqies.training import TrainingConfig

TEXT = "the cat sat\non the mat, the rat ran. " * 40


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lm")
    training = TrainingConfig(epochs=1, learning_rate=0.01)
    shape = {"width": 16, "n_layers": 1}
    model = LanguageModel(arm="tap", size="3k", context=16, n_tokens=6000, settings=shape, training=training)
    model.fit(TEXT).save_pretrained(folder)
    (folder / "text.txt").write_text(TEXT, encoding="utf-8")
    return folder


def flags(model: Path) -> list[str]:
    given = ["quanta", "discover", str(model), "--text", str(model / "text.txt")]
    return [*given, "--samples", "24", "--clusters", "4", "--below", "3"]


def test_clusters_are_shown_with_their_tokens(model: Path, say: Say) -> None:
    shown = say(*flags(model), "--shown", "1")[0]
    record = json.loads((model / "quanta" / "quanta.json").read_text(encoding="utf-8"))
    assert sum(len(cluster["samples"]) for cluster in record["clusters"]) == 24
    assert all(sample["loss"] < 3 for cluster in record["clusters"] for sample in cluster["samples"])
    for cluster in record["clusters"]:
        first = cluster["samples"][0]
        assert first["before"] + first["token"] in TEXT
        assert f"⟦{first['token']}⟧".replace("\n", "↵") in shown
    again = json.loads(say(*flags(model), "--json", "--block", "7")[0])
    assert [len(each["samples"]) for each in again["clusters"]] == [
        len(each["samples"]) for each in record["clusters"]
    ]
    angular = json.loads(say(*flags(model), "--json", "--similarity", "angular")[0])
    assert angular["clusters"] != record["clusters"]


WORDS = ("the", "cat", "sat", "on", "mat", ",", "rat", "ran", ".")
CONTEXT = 12


@pytest.fixture(scope="module", params=["gpt2", "llama"])
def foreign(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model of transformers with its tokenizer, and a text for it."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from transformers import (
        GPT2Config,
        GPT2LMHeadModel,
        LlamaConfig,
        LlamaForCausalLM,
        PreTrainedTokenizerFast,
    )

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp(request.param)
    sizes: dict[str, Any] = {"vocab_size": 10, "bos_token_id": 0, "eos_token_id": 0, "initializer_range": 0.3}
    if request.param == "gpt2":
        made: Any = GPT2LMHeadModel(GPT2Config(n_positions=CONTEXT, n_embd=8, n_layer=1, n_head=2, **sizes))
    else:
        shape: dict[str, Any] = {
            "hidden_size": 8,
            "intermediate_size": 12,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
        }
        # Its last layer has weights of its own.
        made = LlamaForCausalLM(LlamaConfig(max_position_embeddings=CONTEXT, **shape, **sizes))
    made.save_pretrained(folder)
    words = Tokenizer(WordLevel({word: at for at, word in enumerate(("[UNK]", *WORDS))}, unk_token="[UNK]"))
    words.pre_tokenizer = Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=words, unk_token="[UNK]").save_pretrained(folder)
    (folder / "text.txt").write_text(TEXT, encoding="utf-8")
    return folder


def test_a_model_of_transformers_is_taken(foreign: Path, say: Say, tmp_path, monkeypatch) -> None:
    from transformers import AutoModelForCausalLM

    monkeypatch.chdir(tmp_path)
    given = ["quanta", "discover", foreign, "--text", foreign / "text.txt"]
    few = ["--samples", "9", "--clusters", "2", "--below", "9"]
    shown = say(*given, *few)[0]
    out = tmp_path / "runs" / "quanta" / foreign.name
    assert f"Saved {out.relative_to(tmp_path)}/quanta.json" in " ".join(shown.split())
    record = json.loads((out / "quanta.json").read_text(encoding="utf-8"))
    assert (record["model"], record["window"]) == (str(foreign), CONTEXT)
    samples = [sample for cluster in record["clusters"] for sample in cluster["samples"]]
    assert len(samples) == 9
    model = AutoModelForCausalLM.from_pretrained(foreign)
    for sample in samples:
        # Words are joined by spaces, which belong to the token behind them.
        words = [*sample["before"].split(), sample["token"].strip()]
        ids = torch.tensor([[1 + WORDS.index(word) for word in words]])
        with torch.no_grad():
            loss = float(-model(ids[:, :-1]).logits[0, -1].log_softmax(-1)[ids[0, -1]])
        assert sample["loss"] == pytest.approx(loss, abs=1e-5)
    say(*given, *few, "--window", "5", "--out", tmp_path / "narrow")
    assert json.loads((tmp_path / "narrow" / "quanta.json").read_text(encoding="utf-8"))["window"] == 5


def test_embeddings_and_the_last_layer_do_not_count(foreign: Path, tmp_path, monkeypatch) -> None:
    from hybridqies.quanta import gradient_similarity as compare
    from hybridqies.runs import language_quanta

    counted: list[str] = []

    def watch(model: Any, *given: Any, leave_out: tuple[str, ...], **options: Any) -> Any:
        counted.extend(name for name, _ in model.named_parameters() if not name.startswith(leave_out))
        return compare(model, *given, leave_out=leave_out, **options)

    monkeypatch.setattr(language_quanta, "gradient_similarity", watch)
    language_quanta.discover_quanta(
        foreign, tmp_path, text=str(foreign / "text.txt"), n_samples=4, n_clusters=2, below=9
    )
    blocks = ("transformer.h.", "transformer.ln_f.", "model.layers.", "model.norm.")
    assert counted
    assert all(name.startswith(blocks) for name in counted)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "no text was given"),
        (["--text", "TEXT", "--window", CONTEXT + 1], f"2 to {CONTEXT}, the context of the model"),
        (["--text", "/nowhere"], "cannot be read"),
        (["--text", "SHORT"], f"at least {CONTEXT}"),
        (["--text", "TEXT", "--block", "7", "--samples", "8", "--clusters", "2"], "--block of at most 2"),
    ],
)
def test_what_a_model_of_transformers_is_refused_for(
    foreign: Path, given, said, capsys, tmp_path, monkeypatch
) -> None:
    from hybridqies.compression import load_causal_model
    from hybridqies.runs import language_quanta

    if "--block" in given:
        model = load_causal_model(str(foreign))[0]
        left_out = language_quanta._embeddings_of(model)
        size = sum(v.numel() * 4 for n, v in model.named_parameters() if not n.startswith(left_out))
        monkeypatch.setattr(language_quanta, "free_bytes", lambda _: 6 * size)
    (tmp_path / "short.txt").write_text("the cat", encoding="utf-8")
    files = {"TEXT": foreign / "text.txt", "SHORT": tmp_path / "short.txt"}
    words = [str(files.get(word, word)) for word in given]
    assert run(["quanta", "discover", str(foreign), *words, "--out", str(tmp_path / "out")]) == BAD_INPUT
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_folders_without_a_model_are_refused_by_name(tmp_path, capsys) -> None:
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "config.json").write_text("{", encoding="utf-8")
    for name, said in (("nothing", "holds no config.json"), ("damaged", "config.json"), ("a/b/c", "no such")):
        assert run(["quanta", "discover", str(tmp_path / name), "--text", "tiny_shakespeare"]) == BAD_INPUT
        err = capsys.readouterr().err
        assert said in err
        assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--similarity", "cosine"], "unknown value for --similarity: 'cosine'"),
        (["--below", "0.000001"], "raise the loss"),
        (["--clusters", "24"], "at least 2 clusters"),
        (["--window", "17"], "2 to 16, the context of the model"),
    ],
)
def test_bad_input_is_one_line(model: Path, given, said, capsys) -> None:
    assert run([*flags(model), *given]) == BAD_INPUT
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1


def test_the_check_shows_controls(say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    from hybridqies import quanta
    from hybridqies.parity import ParityProblem

    small = quanta.KnownQuanta(ParityProblem(3, 6, 2, 0.0), width=8, steps=5, batch_size=10, n_samples=12)
    monkeypatch.setattr(quanta, "KnownQuanta", lambda: small, raising=False)
    record = json.loads(say("quanta", "check", "--seeds", "2", "--json")[0])
    assert [each["seed"] for each in record] == [0, 1]
    assert "untrained" in say("quanta", "check", "--seeds", "1")[0]
