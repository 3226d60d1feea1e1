"""Tasks of lm-eval on small models, against values by hand; needs the extra lm-eval."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path
from typing import Any

import pytest
from harness.models import TEXT, Recitation, fit_model
from rich.console import Console

from hybridqies.cli.app import run
from hybridqies.errors import DataError, InputError
from hybridqies.harness import DecoderScorer, benchmark, load_tasks
from hybridqies.harness.scorers import Scorer, cut_pieces, score_texts
from hybridqies.report.language import benchmark_table

pytest.importorskip("lm_eval", reason="needs the extra lm-eval")

DOCUMENTS = [
    {
        "beginning": "to be,",
        "endings": [" or not to be,", " that is it"],
        "label": 0,
        "ending": " or not to be,",
    },
    {
        "beginning": "that is",
        "endings": [" a bee", " not", " the question"],
        "label": 2,
        "ending": " a quest",
    },
    {"beginning": "", "endings": ["the", "to"], "label": 0, "ending": "to"},
]


def write_tasks(folder: Path) -> Path:
    lines = [json.dumps(document) + "\n" for document in DOCUMENTS]
    (folder / "lines.jsonl").write_text("".join(lines), encoding="utf-8")
    start = "dataset_path: json\ndataset_kwargs:\n  data_files:\n    test: lines.jsonl\ntest_split: test\n"
    start += 'target_delimiter: ""\n'
    choice = 'output_type: multiple_choice\ndoc_to_text: "{{beginning}}"\ndoc_to_choice: "{{endings}}"\n'
    choice += "doc_to_target: label\nmetric_list:\n  - metric: acc\n"
    rolling = 'output_type: loglikelihood_rolling\ndoc_to_text: ""\n'
    rolling += 'doc_to_target: "{{beginning}}{{ending}}"\nmetric_list:\n  - metric: bits_per_byte\n'
    writing = 'output_type: generate_until\ndoc_to_text: "{{beginning}}"\ndoc_to_target: "{{ending}}"\n'
    writing += (
        'generation_kwargs:\n  until: ["\\n"]\n  max_gen_toks: 30\nmetric_list:\n  - metric: exact_match\n'
    )
    for name, content in (("choice", choice), ("rolling", rolling), ("writing", writing)):
        (folder / f"{name}.yaml").write_text(f"task: own-{name}\n{start}{content}", encoding="utf-8")
    return folder


@pytest.fixture(autouse=True)
def own_data_cache(tmp_path: Path, monkeypatch: Any) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def values(scorer: Scorer, folder: Path, name: str) -> dict[str, Any]:
    (row,) = benchmark(scorer, load_tasks([f"own-{name}"], [write_tasks(folder)]))
    return row


def test_choices_are_those_of_the_larger_likelihood(tmp_path):
    row = values(Recitation(TEXT), tmp_path, "choice")
    # The third text begins with "to", which is not its label.
    assert row["value"] == pytest.approx(2 / 3)
    assert row["chance"] == pytest.approx((1 / 2 + 1 / 3 + 1 / 2) / 3)
    assert row["n_documents"] == 3
    assert row["low"] == pytest.approx(2 / 3 - 1.96 / 3, abs=1e-3)


def test_rolling_likelihoods_are_those_of_all_tokens(tmp_path):
    scorer = DecoderScorer(fit_model())
    row = values(scorer, tmp_path, "rolling")
    texts = [document["beginning"] + document["ending"] for document in DOCUMENTS]  # type: ignore[operator]
    totals = score_texts(scorer, [([scorer.prefix, *scorer.encode(text)], 1) for text in texts])
    bits = -sum(total for total, _ in totals) / math.log(2)
    assert row["value"] == pytest.approx(bits / sum(len(text) for text in texts))
    assert row["chance"] is None


def test_writing_is_compared_with_the_target(tmp_path):
    # " the question" is written where " a quest" is expected.
    assert values(Recitation(TEXT), tmp_path, "writing")["value"] == pytest.approx(1 / 3)


def test_pieces_are_those_of_lm_eval():
    from lm_eval.utils import get_rolling_token_windows

    ids = list(range(100, 137))
    theirs = list(get_rolling_token_windows(ids, prefix_token=7, max_seq_len=10, context_len=1))
    ours = list(cut_pieces([7, *ids], 1, 10))
    assert [(piece[:-1], piece[len(piece) - count :]) for piece, count in ours] == theirs


def test_tasks_of_the_package_run_on_a_run(tmp_path, capsys):
    from hybridqies.lm.texts import read_text

    model = fit_model()
    model.prepare(read_text("tiny_shakespeare"))
    model.save_pretrained(tmp_path / "model")
    names = "shakespeare-choice,shakespeare-passages,shakespeare-lines"
    given = ["lm", "benchmark", str(tmp_path / "model"), "--tasks", names, "--limit", "3", "--json"]
    assert run(given) == 0
    record = json.loads(capsys.readouterr().out)
    found = {(row["task"], row["metric"]): row for row in record["rows"]}
    assert found["shakespeare-choice", "acc"]["chance"] == 0.25
    assert 5 < found["shakespeare-passages", "bits_per_byte"]["value"] < 10
    assert found["shakespeare-lines", "exact_match"]["n_documents"] == 3
    shown = io.StringIO()
    Console(file=shown, width=120).print(benchmark_table(record))
    assert "shakespeare-passages" in shown.getvalue()


def test_unknown_tasks_and_data_out_of_reach_are_refused_before_the_model_is_loaded(
    tmp_path, monkeypatch, capsys
):
    import datasets

    def fail(*given: Any, **named: Any) -> None:
        raise ConnectionError("no network")

    with pytest.raises(InputError, match="did you mean 'own-choice'"):
        load_tasks(["own-choise"], [write_tasks(tmp_path)])
    monkeypatch.setattr(datasets, "load_dataset", fail)
    assert run(["lm", "benchmark", str(tmp_path / "nowhere"), "--tasks", "shakespeare-lines"]) == 2
    complaint = capsys.readouterr().err
    assert "the data of task 'shakespeare-lines' cannot be loaded (ConnectionError: no network)" in complaint
    assert complaint.count("\n") == 1
    with pytest.raises(InputError, match="is no folder"):
        load_tasks(["own-choice"], [tmp_path / "nowhere"])
    with pytest.raises(InputError, match="no tasks"):
        load_tasks([])


def test_characters_that_a_model_does_not_know_are_refused(tmp_path):
    folder = write_tasks(tmp_path)
    unknown = json.dumps({**DOCUMENTS[0], "beginning": "zebra"})
    (folder / "lines.jsonl").write_text(unknown + "\n", encoding="utf-8")
    with pytest.raises(DataError, match="tokens of kind bpe"):
        benchmark(DecoderScorer(fit_model()), load_tasks(["own-choice"], [folder]))
