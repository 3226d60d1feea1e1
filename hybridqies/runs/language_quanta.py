"""Quanta of a language model, saved by `lm train` or one of transformers: clusters of tokens by gradients."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hybridqies import __version__
from hybridqies.backends.memory import free_bytes
from hybridqies.compression import load_causal_model
from hybridqies.devices import check_device
from hybridqies.errors import DataError, InputError
from hybridqies.files import expand_home, sha256_of
from hybridqies.language_model import LanguageModel
from hybridqies.lm.texts import read_text
from hybridqies.quanta import (
    Cluster,
    Similarity,
    TokenSamples,
    choose_tokens,
    cluster_samples,
    describe_clusters,
    gradient_similarity,
)
from hybridqies.quanta.clusters import check_clusters
from hybridqies.records import write_record
from hybridqies.runs.language import find_text
from hybridqies.saved_model.files import CONFIG, WEIGHTS
from hybridqies.training.numerics import device_of
from hybridqies.training.rows import digest_tensor

QUANTA = "quanta.json"
_EMBEDDING = "embedding."
_WINDOW = 128
"""Tokens of a window, for models of transformers: the gradient of a token takes all tokens before it."""
_LOGITS = 2**24
"""The most logits that are computed at once."""


@dataclass(frozen=True, slots=True, eq=False)
class _Subject:
    """A model with its vocabulary, windows (W, T) of a text, and what is recorded of it."""

    model: nn.Module
    windows: Tensor
    decode: Callable[[Sequence[int]], str]
    leave_out: tuple[str, ...]
    about: dict[str, Any]
    vocabulary: int


def is_own_model(name: str) -> bool:
    """Whether a name is that of a folder of `lm train` or `save_pretrained`, or can only be one.

    All others are models of transformers: folders with a configuration of theirs, and names on the hub.
    """
    path = expand_home(name)
    config = path / CONFIG
    if config.is_file():
        return not _is_of_transformers(config)
    return path.exists() or (path.parent != Path() and path.parent.is_dir())


def _is_of_transformers(config: Path) -> bool:
    try:
        content = json.loads(config.read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and "model_type" in content


def discover_quanta(
    name: str | Path,
    out: Path,
    *,
    text: str | None = None,
    n_samples: int = 500,
    n_clusters: int = 20,
    below: float = 0.5,
    similarity: Similarity = Similarity.ABSOLUTE,
    window: int | None = None,
    block: int = 250,
    seed: int = 0,
    device: str = "cpu",
    on_sample: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Clusters of tokens that a model predicts well; returns what `out`/quanta.json holds.

    `name` is the folder of a model of ours, or the folder or name of a causal language model of transformers.
    The text is by default the test part of that of the run, and has to be given for models of transformers.
    Windows have `window` tokens, by default the context of a model of ours, and 128 for others. Embeddings
    and the last layer do not count.

    Raises
    ------
    ModelFolderError: the folder holds no finished model.
    InputError: a model that cannot be loaded, no text, a window beyond the context, too few tokens with a
        loss below `below`, more clusters than samples, or gradients that do not fit into memory.
    DataError: a text shorter than a window.
    """
    # Before any gradient, of which there are many.
    check_clusters(n_samples, n_clusters)
    load = _load_own if is_own_model(str(name)) else _load_transformer
    subject = load(str(name), text, window, device)
    _check_memory(subject, min(block, n_samples))
    at_once = max(1, min(32, _LOGITS // (subject.windows.shape[1] * subject.vocabulary)))
    samples = choose_tokens(
        subject.model, subject.windows, n_samples, below=below, seed=seed, batch_size=at_once
    )
    found = gradient_similarity(
        subject.model,
        len(samples),
        samples.loss_of,
        similarity=similarity,
        leave_out=subject.leave_out,
        block=block,
        on_sample=on_sample,
    )
    clusters = describe_clusters(found, cluster_samples(found, n_clusters, seed=seed))
    record = {
        **subject.about,
        "window": subject.windows.shape[1],
        "n_samples": n_samples,
        "below": below,
        "similarity": similarity.value,
        "seed": seed,
        "clusters": [_describe(subject, samples, cluster) for cluster in clusters],
        "hybridqies": __version__,
    }
    out.mkdir(parents=True, exist_ok=True)
    write_record(out / QUANTA, record)
    return record


def _load_own(name: str, text: str | None, window: int | None, device: str) -> _Subject:
    folder = expand_home(name)
    model = LanguageModel.from_pretrained(folder, device)
    source, content = find_text(folder, text)
    width = _check_window(window, model.config.context, model.config.context)
    about = {"arm": model.config.arm, "text": source, "weights_sha256": sha256_of(folder / WEIGHTS)}
    return _Subject(
        model.decoder,
        _cut(model.tokens.encode(content), width),
        model.tokens.decode,
        (_EMBEDDING,),
        about,
        model.tokens.size,
    )


def _load_transformer(name: str, text: str | None, window: int | None, device: str) -> _Subject:
    if text is None:
        raise InputError(
            f"no text was given for {name!r}, which no run of ours trained",
            expected="--text with a UTF-8 file, or tiny_shakespeare",
        )
    check_device(device)
    content = read_text(text)
    model, tokenizer = load_causal_model(name)
    context = int(getattr(model.config, "max_position_embeddings", None) or _WINDOW)
    width = _check_window(window, min(_WINDOW, context), context)
    ids = tokenizer(content, add_special_tokens=False, verbose=False)["input_ids"]
    about = {"model": name, "text": text, "weights_sha256": _digest(model)}
    return _Subject(
        model.to(device),
        _cut(ids, width),
        lambda found: str(tokenizer.decode(list(found))),
        _embeddings_of(model),
        about,
        len(tokenizer),
    )


def _check_window(window: int | None, default: int, context: int) -> int:
    width = default if window is None else window
    if not 2 <= width <= context:
        raise InputError(
            f"a window of {width} tokens was given", expected=f"2 to {context}, the context of the model"
        )
    return width


def _cut(ids: Sequence[int], width: int) -> Tensor:
    """Consecutive windows (W, T); what is left over at the end is not read."""
    if len(ids) < width:
        raise DataError(
            f"the text has {len(ids)} tokens",
            expected=f"at least {width}",
            todo="give a longer text, or a smaller window",
        )
    return torch.tensor(ids[: len(ids) // width * width]).reshape(-1, width)


def _embeddings_of(model: Any) -> tuple[str, ...]:
    """The beginnings of the names of embeddings, of tokens and of positions, and of the last layer."""
    last = model.get_output_embeddings()
    names = [name for name, part in model.named_modules() if isinstance(part, nn.Embedding) or part is last]
    return tuple(f"{name}." for name in names)


def _digest(model: nn.Module) -> str:
    """SHA-256 over the weights as they were loaded, wherever from."""
    parts = (f"{name}\0{digest_tensor(value)}\n" for name, value in sorted(model.state_dict().items()))
    return hashlib.sha256("".join(parts).encode()).hexdigest()


def _check_memory(subject: _Subject, block: int) -> None:
    """Refuses two blocks of gradients that do not fit into the free memory of the device."""
    counted = [
        value for name, value in subject.model.named_parameters() if not name.startswith(subject.leave_out)
    ]
    size, device = sum(value.numel() * value.element_size() for value in counted), device_of(subject.model)
    free = free_bytes(device)
    # One gradient more is there while it is computed.
    if (2 * block + 1) * size > free:
        raise InputError(
            f"two blocks of {block} gradients take {2 * block * size / 2**30:.1f} GiB",
            expected=f"at most the {free / 2**30:.1f} GiB free on {device}",
            todo=f"give a --block of at most {max(1, (free // size - 1) // 2)}",
        )


def _describe(subject: _Subject, samples: TokenSamples, cluster: Cluster) -> dict[str, Any]:
    tokens = []
    for number in cluster.samples:
        ids, last = samples.context_of(number)
        before, whole = subject.decode(ids), subject.decode([*ids, last])
        # Many tokenizers drop the space before a token that is decoded alone.
        token = whole.removeprefix(before) if whole.startswith(before) else subject.decode([last])
        tokens.append({"before": before, "token": token, "loss": float(samples.losses[number])})
    return {**asdict(cluster), "samples": tokens}
