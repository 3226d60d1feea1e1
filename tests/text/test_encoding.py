"""Embeddings have the same bits however texts are grouped and whatever the caller has set."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

from hybridqies.text import DataWarning, EmbeddingCache, embed, encoding
from hybridqies.text.encoder import Encoder
from hybridqies.text.encoding import cut_text, plan_batches

TEXTS = [
    "a lovely film",
    "the sea",
    "two old friends in winter",
    "cold",
    "a bleak film about the sea",
    "cold",
]


class TestPlan:
    def test_small_batches_are_filled_to_the_least_and_large_ones_are_split(self) -> None:
        counts = [4, 300, 4, 4, 7, 100, *[7] * 80]
        planned = list(plan_batches(counts, full=512, least=16))
        assert [(len(some), rows) for some, rows in planned] == [
            (1, 1),
            (1, 1),
            (73, 73),
            (8, 8),
            (3, 4),
        ]
        assert sorted(position for some, _ in planned for position in some) == list(range(len(counts)))

    def test_full_batches_where_small_ones_round_differently(self) -> None:
        assert list(plan_batches([4, 4, 300], full=512, least=512)) == [([2], 1), ([0, 1], 128)]


class TestBits:
    def test_least_tokens_is_full_when_a_small_batch_rounds_differently(
        self, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        genuine = encoding.forward

        def rounds_small(model: Any, features: dict[str, Any]) -> torch.Tensor:
            vectors = genuine(model, features)
            return vectors + 1e-6 if len(vectors) == 5 else vectors

        assert encoding.find_least_tokens(encoder._model, 512) in (16, 512)
        monkeypatch.setattr(encoding, "forward", rounds_small)
        assert encoding.find_least_tokens(encoder._model, 512) == 512

    def test_threads_change_nothing_and_stay_as_they_were(self, encoder: Encoder) -> None:
        torch.set_num_threads(1)
        alone = encoder.encode(TEXTS)
        torch.set_num_threads(2)
        assert torch.equal(encoder.encode(TEXTS), alone)
        assert torch.get_num_threads() == 2

    def test_default_type_of_torch_changes_nothing(self, encoder: Encoder, tiny_encoder: Path) -> None:
        clean = encoder.encode(TEXTS)
        torch.set_default_dtype(torch.float64)
        try:
            again, loaded = encoder.encode(TEXTS), Encoder.load(tiny_encoder).encode(TEXTS)
            assert torch.get_default_dtype() is torch.float64
        finally:
            torch.set_default_dtype(torch.float32)
        assert again.dtype is loaded.dtype is torch.float32
        assert torch.equal(again, clean)
        assert torch.equal(loaded, clean)

    @pytest.mark.parametrize("threads_used", [1, 2])
    def test_autocast_of_the_caller_changes_nothing(self, encoder: Encoder, threads_used: int) -> None:
        torch.set_num_threads(threads_used)
        clean = encoder.encode(TEXTS)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert torch.equal(encoder.encode(TEXTS), clean)

    def test_inference_mode_of_the_caller_leaves_usable_tensors(self, encoder: Encoder) -> None:
        with torch.inference_mode():
            vectors = encoder.encode(TEXTS)
        assert not vectors.is_inference()


class CountingTokenizer:
    """Tokens are words; remembers how much it was given."""

    def __init__(self) -> None:
        self.longest = 0

    def __call__(self, text: str, verbose: bool = True) -> dict[str, list[str]]:
        self.longest = max(self.longest, len(text))
        return {"input_ids": text.split()}


class TestCut:
    @pytest.mark.parametrize(
        ("text", "most"),
        [("word " * 100_000, 1_000), (" " * 50_000 + "word " * 1_000, 70_000), ("x" * 30_000, 30_000)],
    )
    def test_first_tokens_are_kept_and_no_more_than_needed_is_read(self, text: str, most: int) -> None:
        tokenizer = CountingTokenizer()
        assert cut_text(tokenizer, text, 10).split()[:10] == text.split()[:10]
        assert tokenizer.longest <= most

    def test_short_texts_and_models_without_a_limit(self) -> None:
        assert cut_text(CountingTokenizer(), "one two", 10) == "one two"
        assert cut_text(CountingTokenizer(), "word " * 500, None) == "word " * 500

    def test_the_rest_of_a_long_text_does_not_count(self, encoder: Encoder) -> None:
        start = "a lovely film about the sea and two old friends " * 4
        long, longer = encoder.encode([start + "cold " * 200, start + "warm " * 9_000])
        assert torch.equal(long, longer)


class TestCountCut:
    def test_texts_beyond_the_limit_are_counted_without_weights(self, tiny_encoder: Path) -> None:
        fresh = Encoder.load(tiny_encoder)
        assert fresh.max_tokens == 32
        # 30 words and two special tokens just fit.
        texts = ["sea " * 30, "sea " * 31, "a film", "sea " * 100_000, " " * 5_000 + "sea"]
        assert fresh.count_cut(texts) == 2
        assert "_model" not in vars(fresh)

    def test_unknown_without_a_limit_or_a_tokenizer_file(self, tiny_encoder: Path, tmp_path: Path) -> None:
        for name in ("tokenizer.json", "sentence_bert_config.json"):
            folder = tmp_path / name
            shutil.copytree(tiny_encoder, folder, ignore=shutil.ignore_patterns(name))
            assert Encoder.load(folder).count_cut(["sea " * 31]) == 0

    def test_embedding_warns_of_them_cached_or_not(self, encoder: Encoder, tmp_path: Path) -> None:
        cache = EmbeddingCache(tmp_path)
        for _ in range(2):
            with pytest.warns(DataWarning, match="1 of 2 different texts have more than the 32 tokens"):
                embed(encoder, ["sea " * 40, "cold", "cold"], cache)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            embed(encoder, ["cold"], cache)
