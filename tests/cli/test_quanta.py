"""`hybridqies quanta`: clusters as text, and refusals."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
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


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--similarity", "cosine"], "unknown value for --similarity: 'cosine'"),
        (["--below", "0.000001"], "raise the loss"),
        (["--clusters", "24"], "at least 2 clusters"),
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
