"""Kills processes that write to one embedding cache: what they had been told is kept has to be there.

    python benchmarks/kill_cache.py --kills 1000

Two thirds of the kills (SIGKILL) come at any time in the first 60 milliseconds of writing, a third just
before a change of a file or folder; small shards are merged all along. After each kill the cache is read.
Exits 1 unless it holds, with the right numbers, everything whose keeping had been confirmed.
"""

from __future__ import annotations

import hashlib
import os
import random
import signal
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

import stress
import torch

from hybridqies.text import EmbeddingCache

FINGERPRINT = "0" * 64
_MOST_CHANGES = 200


def kill(folder: Path, kills: int, seed: int) -> list[str]:
    """What went wrong in so many kills."""
    cache, draw, kept, faults = EmbeddingCache(folder), random.Random(seed), list[bytes](), list[str]()
    # The first use of either starts threads and imports modules, which a forked process cannot.
    cache.add(FINGERPRINT, *shard(kills, 0))
    for number in range(kills):
        before = stress.killed_at(draw.randrange(_MOST_CHANGES)) if number % 3 == 2 else None
        shards = _write_until_killed(cache, number, before, 0.06 * draw.random())
        confirmed = [key for at in range(shards) for key in shard(number, at)[0]]
        kept += confirmed
        # Everything is looked up now and then: it takes longer with every kill.
        problem = check(cache, kept if number % 50 == 49 or number == kills - 1 else confirmed)
        if problem:
            faults.append(f"kill {number + 1}: {problem}")
            print(faults[-1], flush=True)
        if number % 100 == 99:
            print(f"{number + 1} kills, {len(kept)} embeddings kept, {len(faults)} faults", flush=True)
    print(f"{kills} kills, {len(kept)} embeddings kept; {len(faults)} faults")
    return faults


def shard(number: int, at: int) -> tuple[list[bytes], torch.Tensor]:
    """Keys and embeddings of the n-th writer's shard; an embedding can be told from its key."""
    keys = [hashlib.sha256(f"{number} {at} {text}".encode()).digest() for text in range(1 + at % 7)]
    return keys, torch.stack([embedding_of(key) for key in keys])


def embedding_of(key: bytes) -> torch.Tensor:
    """The bytes of a key as numbers (32,)."""
    return torch.tensor(list(key), dtype=torch.float32)


def check(cache: EmbeddingCache, keys: list[bytes]) -> str:
    """What is wrong with these embeddings in the cache, or nothing."""
    found = torch.zeros(len(keys), 32)
    known = cache.fill(FINGERPRINT, {key: row for row, key in enumerate(keys)}, found)
    if len(known) != len(keys):
        return f"{len(keys) - len(known)} of {len(keys)} embeddings are lost"
    if keys and not torch.equal(found, torch.stack([embedding_of(key) for key in keys])):
        return "an embedding is another"
    return ""


def _write_until_killed(
    cache: EmbeddingCache, number: int, before: Callable[[], None] | None, seconds: float
) -> int:
    """Has a process write shards until it is killed; how many of them it could confirm."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if before is not None:
                before()
            for at in count():
                cache.add(FINGERPRINT, *shard(number, at))
                os.write(write, b".")
        finally:
            os._exit(99)
    os.close(write)
    end = time.monotonic() + (seconds if before is None else 10.0)
    while not os.waitpid(child, os.WNOHANG)[0]:
        time.sleep(0.0005)
        if time.monotonic() >= end:
            os.kill(child, signal.SIGKILL)
    with os.fdopen(read, "rb") as confirmed:
        return len(confirmed.read())


if __name__ == "__main__":
    stress.main(kill, __doc__, kills=1000, seed=0)
