"""Texts through a sentence-transformers model: small batches of one length, each on one thread.

Rows of a batch are computed independently, but a matrix library may round them differently in matrices of
another height. A batch therefore holds texts of one token length only, and as few rows as give the bits of a
full batch; `find_least_tokens` measures that number on the machine.
"""

from __future__ import annotations

import contextlib
import itertools
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor

Batch = tuple[list[int], int]
"""The positions of its texts, and the rows to fill it up to."""

# Characters for each token that a long text is first cut to; the cut moves on where it holds too few tokens.
_CHARACTERS = 16
_TEXTS = 1024
# The lengths and heights that are compared with a full batch, in tokens.
_PROBE_LENGTH = 16
_PROBE_ROWS = (1, 2, 5, 12)


def find_least_tokens(model: Any, full: int) -> int:
    """The fewest tokens of a batch (rows x length) that give the bits of a batch of `full` tokens.

    That is 16 where the batches of 16, 32, 80 and 192 tokens all do, else `full` itself.
    """
    tokenizer = model.tokenizer
    ids = torch.arange(full // _PROBE_LENGTH * _PROBE_LENGTH).reshape(-1, _PROBE_LENGTH) % len(tokenizer)
    features = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    whole = forward(model, features)
    for rows in _PROBE_ROWS:
        part = forward(model, {name: value[:rows] for name, value in features.items()})
        if not torch.equal(part, whole[:rows]):
            return full
    return _PROBE_LENGTH


def plan_batches(counts: Sequence[int], full: int, least: int) -> Iterator[Batch]:
    """Batches of texts of one length, longest first, of at most `full` and at least `least` tokens."""
    by_length: dict[int, list[int]] = {}
    for position, count in enumerate(counts):
        by_length.setdefault(count, []).append(position)
    for length in sorted(by_length, reverse=True):
        positions, most = by_length[length], max(1, full // max(1, length))
        fewest = min(most, -(-least // max(1, length)))
        for start in range(0, len(positions), most):
            some = positions[start : start + most]
            yield some, max(fewest, len(some))


def forward(model: Any, features: dict[str, Any]) -> Tensor:
    """The embeddings (B, D) of a tokenised batch, float32 on the CPU, whatever autocast the caller is in."""
    kind = model.device.type
    with torch.inference_mode(), torch.autocast(kind, enabled=False):
        moved = {
            name: value.to(model.device) if isinstance(value, Tensor) else value
            for name, value in features.items()
        }
        vectors = model(moved)["sentence_embedding"]
        width = getattr(model, "truncate_dim", None)
        return vectors[:, :width].to("cpu", torch.float32, copy=True)  # type: ignore[no-any-return]


def run_batches(
    batches: Iterator[Batch], prepare: Callable[[Batch], Any], compute: Callable[[Any], Tensor]
) -> Iterator[tuple[list[int], Tensor]]:
    """Each batch's positions and vectors, in their order: prepared here, computed on one thread each.

    As many threads as torch uses share the batches. The library's matrices are small; a thread of
    its own for each is faster than all threads on one, and its bits depend on no number of threads.
    """
    threads = torch.get_num_threads()
    if threads == 1:
        for batch in batches:
            yield batch[0], compute(prepare(batch))[: len(batch[0])]
        return
    running: deque[tuple[list[int], Future[Tensor]]] = deque()
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            while True:
                for batch in itertools.islice(batches, 2 * threads - len(running)):
                    running.append((batch[0], pool.submit(compute, prepare(batch))))
                if not running:
                    return
                positions, future = running.popleft()
                yield positions, future.result()[: len(positions)]
    finally:
        # The number is a thread's own, but new threads of the caller start with the one that was set last.
        torch.set_num_threads(threads)


def cut_text(tokenizer: Any, text: str, limit: int | None) -> str:
    """The beginning of `text` that holds its first `limit` tokens: short texts as they are.

    A text of megabytes is never tokenised whole where a part has twice the tokens
    that count: what follows cannot change the first of them.
    """
    size = _CHARACTERS * limit if limit else len(text)
    while size < len(text):
        if limit and len(tokenizer(text[:size], verbose=False)["input_ids"]) > 2 * limit:
            return text[:size]
        size *= 2
    return text


def is_longer(tokenizer: Any, text: str, limit: int) -> bool:
    """Whether `text` has more than `limit` tokens; no more of it is tokenised than that takes."""
    size = _CHARACTERS * limit
    while len(tokenizer.encode(text[:size]).ids) <= limit:
        if size >= len(text):
            return False
        size *= 2
    return True


def count_tokens(tokenizer: Any, texts: Sequence[Any], limit: int | None) -> list[int]:
    """Tokens of each text or pair after the cut at `limit`."""
    counts: list[int] = []
    for start in range(0, len(texts), _TEXTS):
        some = texts[start : start + _TEXTS]
        ids = tokenizer(list(some), truncation=limit is not None, max_length=limit)["input_ids"]
        counts += [len(row) for row in ids]
    return counts


@contextlib.contextmanager
def float32_default() -> Iterator[None]:
    """float32 as torch's default type in here: models make some of their tensors in it."""
    before = torch.get_default_dtype()
    if before is torch.float32:
        yield
        return
    torch.set_default_dtype(torch.float32)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
