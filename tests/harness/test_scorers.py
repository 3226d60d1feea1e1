"""Log likelihoods against sums by hand, pieces of long texts, and continuations; without lm-eval."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from compression.language_models import write_model
from harness.models import TEXT, Recitation, fit_model

from hybridqies.compression import load_causal_model
from hybridqies.errors import InputError, MissingExtraError
from hybridqies.harness import DecoderScorer, TransformerScorer, load_tasks
from hybridqies.harness.scorers import cut_pieces, join_pair, score_texts, write_until
from hybridqies.language_model import LanguageModel
from hybridqies.lm import insert_mixers


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    return fit_model()


def sum_by_hand(logits_of: Any, ids: list[int], start: int) -> float:
    logs = logits_of(torch.tensor([ids[:-1]]))[0].detach().double().log_softmax(-1)
    return sum(float(logs[at - 1, ids[at]]) for at in range(start, len(ids)))


def test_likelihoods_are_sums_over_the_scored_tokens_whatever_stands_beside_them(model):
    scorer = DecoderScorer(model)
    texts = [
        (scorer.encode(text), start) for text, start in ((TEXT[:12], 4), (TEXT[3:8], 1), (TEXT[9:11], 1))
    ]
    found = score_texts(scorer, texts)
    for (ids, start), (total, _) in zip(texts, found, strict=True):
        assert total == pytest.approx(sum_by_hand(scorer.logits, ids, start), abs=1e-5)
        assert score_texts(scorer, [(ids, start)])[0][0] == pytest.approx(total, abs=1e-5)


def test_long_texts_are_cut_so_that_each_token_is_scored_once_behind_as_many_as_fit(model):
    ids = list(range(25))
    pieces = list(cut_pieces(ids, 3, 10))
    assert pieces == [(ids[2:13], 10), (ids[12:23], 10), (ids[14:25], 2)]
    assert list(cut_pieces(ids, 20, 10)) == [(ids[14:25], 5)]
    assert list(cut_pieces(ids[:4], 4, 10)) == []
    scorer = DecoderScorer(model)
    text = scorer.encode(TEXT[:40])
    expected = sum(sum_by_hand(scorer.logits, piece, len(piece) - n) for piece, n in cut_pieces(text, 1, 16))
    assert score_texts(scorer, [(text, 1)])[0][0] == pytest.approx(expected, abs=1e-5)


def test_a_text_is_greedy_where_every_token_is_the_likeliest(model):
    scorer = DecoderScorer(model)
    start = scorer.encode("to be")
    written = scorer.generate(start, 6)
    other = [*written[:-1], (written[-1] + 1) % model.tokens.size]
    found = score_texts(scorer, [([*start, *each], len(start)) for each in (written, other)])
    assert [greedy for _, greedy in found] == [True, False]


def test_writing_ends_before_a_stop_or_after_the_count():
    scorer = Recitation(TEXT)
    start = scorer.encode("or not")
    assert write_until(scorer, start, ["\n"], 50) == " to be,"
    assert write_until(scorer, start, ["question", "be", ""], 50) == " to "
    assert write_until(scorer, start, ["never"], 20) == " to be,\nthat is the "
    assert write_until(scorer, start, [], 3) == " to"


def test_models_of_transformers_are_scored_with_their_mixing_layers(tmp_path: Path):
    hosted, tokenizer = load_causal_model(str(write_model(tmp_path)))
    tokenizer.eos_token = "w0"
    scorer = TransformerScorer(hosted, tokenizer, context=32)
    ids = scorer.encode("w1 w2 w3 w4 w5")
    before = score_texts(scorer, [(ids, 2)])[0][0]
    assert before == pytest.approx(sum_by_hand(lambda read: hosted(read).logits, ids, 2), abs=1e-5)
    expected = hosted.generate(
        torch.tensor([ids]), max_new_tokens=4, do_sample=False, eos_token_id=99, pad_token_id=0
    )
    assert scorer.generate(ids, 4) == expected[0, len(ids) :].tolist()
    insert_mixers(hosted, "model.layers.1", context=16)
    assert score_texts(scorer, [(ids, 2)])[0][0] == before
    with torch.no_grad():
        hosted.model.layers[1].mixer.out.weight.normal_(generator=torch.Generator().manual_seed(1))
    after = score_texts(scorer, [(ids, 2)])[0][0]
    assert after == pytest.approx(sum_by_hand(lambda read: hosted(read).logits, ids, 2), abs=1e-5)
    assert abs(after - before) > 0.01
    assert scorer.prefix == tokenizer.eos_token_id
    tokenizer.eos_token = None
    with pytest.raises(InputError, match="no token for the beginning"):
        TransformerScorer(hosted, tokenizer)


def test_a_vocabulary_without_line_feeds_is_refused():
    model = LanguageModel(size="3k", context=8, n_tokens=8, training={"epochs": 1}).fit("abcdefg" * 30)
    with pytest.raises(InputError, match="no line feed"):
        DecoderScorer(model)


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "lm_eval.tasks", None)
    with pytest.raises(MissingExtraError, match=r"hybridqies\[lm-eval\]"):
        load_tasks(["shakespeare-choice"])


def test_a_continuation_that_merges_with_its_context_is_scored() -> None:
    """Without a token of its own its likelihood would be that of nothing, which no other choice reaches."""

    class Words(Recitation):
        def encode(self, text: str) -> list[int]:
            return [len(word) for word in text.split()]

    words = Words(TEXT)
    assert join_pair(words, "not to", "be") == ([3, 4], 1)
    assert join_pair(words, "to", "be") == ([10, 4], 1)
    assert join_pair(words, "not to ", "be") == ([3, 2, 2], 2)
    assert join_pair(words, "", "be") == ([10, 2], 1)
