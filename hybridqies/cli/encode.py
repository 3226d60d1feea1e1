"""`hybridqies encode`: texts to embeddings, cached for later runs and written to a file if wanted."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from hybridqies.cli import flags
from hybridqies.cli.output import progress, say, say_json
from hybridqies.errors import InputError


def command(
    data: flags.Data = flags.DEFAULT_DATA,
    text_column: flags.TextColumn = "text",
    pair_column: flags.PairColumn = flags.DEFAULT_PAIR_COLUMN,
    label_column: flags.LabelColumn = "label",
    drop_empty: flags.DropEmpty = False,
    encoder: flags.EncoderName = flags.DEFAULT_ENCODER,
    device: flags.Device = "cpu",
    no_cache: flags.NoCache = False,
    out: Annotated[
        Path | None, typer.Option(help="Also write one tensor per split to this .safetensors file.")
    ] = None,
    json: flags.AsJson = False,
) -> None:
    """Embed every text of a data set into the cache, so that later runs start faster.

    Example: `hybridqies encode --data reviews.csv --out reviews.safetensors`

    For pairs of texts --out contains what a head reads: both embeddings, their distance and their product.
    """
    from hybridqies.tensors import save_tensors
    from hybridqies.text import EmbeddingCache, Encoder, embed_entries, load_dataset

    if no_cache and out is None:
        raise InputError(
            "--no-cache was given without --out", expected="--out, or the cache: nothing would be kept"
        )
    start = time.perf_counter()
    dataset = load_dataset(data, text_column, label_column, pair_column=pair_column, drop_empty=drop_empty)
    splits, paired = dataset.splits(), dataset.has_pairs
    model = Encoder.load(encoder, device)
    with progress(json) as hooks:
        texts = [text for part in splits.values() for text in part.texts]
        hooks.on_stage("embedding", len(texts))
        rows = embed_entries(
            model, texts, None if no_cache else EmbeddingCache(), hooks.on_text, paired=paired
        )
    record = {
        "data": data,
        "pairs": paired,
        "texts": {name: len(part) for name, part in splits.items()},
        "encoder": model.describe(),
        "seconds": round(time.perf_counter() - start, 3),
        "out": None if out is None else str(out),
    }
    if out is not None:
        pieces = rows.split([len(part) for part in splits.values()])
        save_tensors(out, dict(zip(splits, pieces, strict=True)), record)
    if json:
        say_json(record)
    else:
        kind = "pairs of texts" if paired else "texts"
        each = f"{rows.shape[1]} numbers each"
        say(f"{len(texts)} {kind}, {each}, by {model.name} in {record['seconds']} s")
