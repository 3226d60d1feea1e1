"""Embeddings on disk, so that a text is encoded once.

Layout: `<folder>/embeddings/<encoder fingerprint>/<SHA-256 of the file>.safetensors`.
Each shard holds `keys` (N, 32) uint8, the SHA-256 of each text, and `embeddings`
(N, D) float32. Shards are only ever added whole, under the name of their own
content, so any number of processes may write at once without a lock. Many
small shards are merged; a shard goes only after another holding all of it is in place.
"""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import torch

from hybridqies import files
from hybridqies.errors import InputError
from hybridqies.text.checks import check_texts
from hybridqies.text.encoder import Encoder, Progress

_CHUNK = 2048
_MANY_SHARDS = 64
_KEY_BYTES = 32
_LISTINGS = 100
_LONGEST_HEADER = 100_000


class TextEncoder(Protocol):
    """What `embed` needs of an encoder."""

    @property
    def fingerprint(self) -> str:
        """Equal for two encoders only if they give the same embeddings."""

    @property
    def dimension(self) -> int:
        """Width D of an embedding."""

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> torch.Tensor:
        """The embeddings (B, D) of B texts, float32."""


def embed(
    encoder: TextEncoder, texts: Sequence[str], cache: EmbeddingCache | None, progress: Progress | None = None
) -> torch.Tensor:
    """The embeddings (B, D) of B texts, float32: read where `cache` has them, else encoded and kept there.

    A text that occurs twice is encoded once. What is encoded is kept every
    2,048 texts, so that an interruption loses no more. `progress` counts
    different texts, cached ones first.

    Raises
    ------
    DataError: an empty text, by its number.
    InputError: a damaged cache file.

    Warns
    -----
    CacheWarning: the cache cannot be read or written; embedding goes on without it.
    DataWarning: texts are longer than the encoder reads, with how many.
    """
    check_texts(texts)
    keys = [hashlib.sha256(text.encode("utf-8")).digest() for text in texts]
    distinct = dict(zip(keys, texts, strict=True))
    if isinstance(encoder, Encoder):
        encoder.warn_of_cuts(texts)
    rows = {key: row for row, key in enumerate(distinct)}
    vectors = torch.empty(len(rows), encoder.dimension, dtype=torch.float32)
    known = cache.fill(encoder.fingerprint, rows, vectors) if cache else set()
    missing = [key for key in rows if key not in known]
    # Longest first: texts of like length share batches, and the time left is never underestimated.
    missing.sort(key=lambda key: -len(distinct[key]))
    done = len(known)
    if progress:
        progress(done, len(rows))
    for start in range(0, len(missing), _CHUNK):
        chunk = missing[start : start + _CHUNK]
        fresh = encoder.encode([distinct[key] for key in chunk], _shifted(progress, done, len(rows)))
        if cache:
            cache.add(encoder.fingerprint, chunk, fresh)
        vectors[[rows[key] for key in chunk]] = fresh
        done += len(chunk)
    return vectors[[rows[key] for key in keys]]


def _shifted(progress: Progress | None, before: int, total: int) -> Progress | None:
    return (lambda done, _: progress(before + done, total)) if progress else None


class CacheWarning(UserWarning):
    """Embeddings cannot be kept, or not be found again; results are the same without."""


class EmbeddingCache:
    """Embeddings by encoder and text in `folder`, which is made when first written to.

    A folder that cannot be read or written is warned of once, and not used again.

    Raises
    ------
    InputError: a folder below the home of a user who does not exist.
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        self.is_usable = True
        try:
            self.folder = Path(folder).expanduser() if folder else files.default_cache_folder()
        except RuntimeError as error:
            raise InputError(
                f"the embedding cache has no place: {error}",
                expected="a folder",
                todo="set HYBRIDQIES_CACHE to one",
            ) from None

    def fill(self, fingerprint: str, rows: Mapping[bytes, int], into: torch.Tensor) -> set[bytes]:
        """Writes the embeddings of the known keys into their rows of `into` (N, D); returns those keys.

        Raises InputError for a shard that is damaged or of another width: a
        cache that quietly shrinks would hide a failing disk.
        """
        for _ in range(_LISTINGS if self.is_usable else 0):
            try:
                return self._fill(fingerprint, rows, into)
            except FileNotFoundError:
                continue  # another process merged shards between our listing and our reading
            except OSError as error:
                self._give_up("read", error)
        if not self.is_usable:
            return set()
        raise InputError(
            f"files vanish from {self._shards_of(fingerprint)} while they are read",
            todo="look for dangling links in it, or set HYBRIDQIES_CACHE to another folder",
        )

    def add(self, fingerprint: str, keys: Sequence[bytes], vectors: torch.Tensor) -> None:
        """Keeps `vectors` (N, D) under `keys` as one new shard."""
        if not self.is_usable:
            return
        folder = self._shards_of(fingerprint)
        try:
            _write_shard(folder, keys, vectors)
            _merge_small(folder)
        except OSError as error:
            self._give_up("written", error)

    def _give_up(self, how: str, error: OSError) -> None:
        self.is_usable = False
        warnings.warn(
            f"the embedding cache {self.folder} cannot be {how} ({error.strerror or error}): going on without"
            " it; set HYBRIDQIES_CACHE to another folder",
            CacheWarning,
            stacklevel=4,
        )

    def _fill(self, fingerprint: str, rows: Mapping[bytes, int], into: torch.Tensor) -> set[bytes]:
        found: set[bytes] = set()
        for path in _shards(self._shards_of(fingerprint)):
            at = {key: i for i, key in enumerate(_keys(path)) if key in rows and key not in found}
            if not at:
                continue
            vectors = _read_shard(path)[1]
            if vectors.shape[1] != into.shape[1]:
                raise _damaged(
                    path, f"its embeddings are {vectors.shape[1]} wide, the encoder's {into.shape[1]}"
                )
            into[[rows[key] for key in at]] = vectors[list(at.values())]
            found.update(at)
        return found

    def _shards_of(self, fingerprint: str) -> Path:
        return self.folder / "embeddings" / fingerprint


def _shards(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.safetensors") if not path.name.startswith("."))


def _write_shard(folder: Path, keys: Sequence[bytes], vectors: torch.Tensor) -> Path:
    from safetensors.torch import save

    table = torch.frombuffer(bytearray(b"".join(keys)), dtype=torch.uint8).reshape(len(keys), _KEY_BYTES)
    content = save({"keys": table, "embeddings": vectors.to("cpu", torch.float32).contiguous()})
    path = folder / f"{hashlib.sha256(content).hexdigest()}.safetensors"
    files.write_bytes(path, content)
    return path


def _keys(path: Path) -> Iterator[bytes]:
    """The keys alone: a shard without hits costs 32 bytes a text, not its embeddings."""
    try:
        # Through one open file, which another process may unlink meanwhile; safetensors opens it twice.
        with path.open("rb") as shard:
            size = int.from_bytes(shard.read(8), "little")
            if size > _LONGEST_HEADER:
                raise ValueError(f"a header of {size} bytes")
            start, end = json.loads(shard.read(size))["keys"]["data_offsets"]
            if not 0 <= start <= end <= os.fstat(shard.fileno()).st_size:
                raise ValueError(f"its keys stand at {start} to {end}")
            shard.seek(8 + size + start)
            table = shard.read(end - start)
        if len(table) != end - start or len(table) % _KEY_BYTES:
            raise ValueError("it is truncated")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _damaged(path, str(error)) from error
    return (table[at : at + _KEY_BYTES] for at in range(0, len(table), _KEY_BYTES))


def _read_shard(path: Path) -> tuple[list[bytes], torch.Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load

    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != path.stem:
        raise _damaged(path, "its content is not the one it was written with")
    try:
        tensors = load(content)
        table, vectors = tensors["keys"], tensors["embeddings"]
        if (table.dtype, vectors.dtype) != (torch.uint8, torch.float32):
            raise ValueError(f"it holds {table.dtype} and {vectors.dtype}")
        if table.shape != (len(vectors), _KEY_BYTES) or vectors.ndim != 2:
            raise ValueError(f"it has keys of shape {tuple(table.shape)} for {tuple(vectors.shape)}")
    except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise _damaged(path, str(error)) from error
    keys = table.numpy().tobytes()
    return [keys[at : at + _KEY_BYTES] for at in range(0, len(keys), _KEY_BYTES)], vectors


def _merge_small(folder: Path) -> None:
    """Rewrites the small shards as few, once there are many."""
    shards = _shards(folder)
    if len(shards) <= _MANY_SHARDS:
        return
    try:
        small = [path for path in shards if sum(1 for _ in _keys(path)) < _CHUNK]
        if len(small) <= _MANY_SHARDS:
            return
        merged = {key: vector for path in small for key, vector in zip(*_read_shard(path), strict=True)}
    except FileNotFoundError:
        return  # another process is merging the same shards, and will finish
    keys = sorted(merged)
    written = set()
    for start in range(0, len(keys), _CHUNK):
        chunk = keys[start : start + _CHUNK]
        written.add(_write_shard(folder, chunk, torch.stack([merged[key] for key in chunk])))
    for path in small:
        if path not in written:
            path.unlink(missing_ok=True)


def _damaged(path: Path, reason: str) -> InputError:
    return InputError(
        f"the embedding cache file {path} is damaged: {reason}",
        expected="the file as it was written",
        todo="delete it; its texts will be encoded again",
    )
