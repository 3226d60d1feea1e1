"""A tiny language model with its tokenizer, as a folder, and a text for it."""

from __future__ import annotations

from pathlib import Path

import torch

WORDS = [f"w{index}" for index in range(30)]


def write_model(folder: Path) -> Path:
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=32,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        initializer_range=0.3,
        tie_word_embeddings=True,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    words = Tokenizer(WordLevel({word: at for at, word in enumerate(["[UNK]", *WORDS])}, unk_token="[UNK]"))
    words.pre_tokenizer = Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=words, unk_token="[UNK]").save_pretrained(folder)
    return folder


def write_text(path: Path, n_words: int = 200) -> Path:
    drawn = torch.randint(len(WORDS), (n_words,), generator=torch.Generator().manual_seed(3))
    path.write_text(" ".join(WORDS[at] for at in drawn.tolist()), encoding="utf-8")
    return path
