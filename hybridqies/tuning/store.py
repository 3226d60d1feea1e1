"""Tuned encoders on disk, so that heads that are compared on the same one wait for it once.

Layout: `<folder>/tuned/<key>.safetensors`, each file whole or not there. The oldest go when all together
hold more than `MOST_BYTES`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from hybridqies import __version__
from hybridqies.errors import ModelFolderError
from hybridqies.files import default_cache_folder
from hybridqies.options import to_mapping
from hybridqies.tensors import load_tensors, save_tensors
from hybridqies.text import Encoder
from hybridqies.training import Labelled, TrainingConfig
from hybridqies.tuning.spec import Tuning
from hybridqies.tuning.tuned import EncoderChange, TunedEncoder, change_encoder

MOST_BYTES = 2**31


class TuningStore:
    """What tuning has made of encoders, by everything that decides it, below the folder of the cache.

    `read` gives None for what is not there, or is damaged.
    """

    def __init__(self, folder: Path | None = None, *, most_bytes: int = MOST_BYTES) -> None:
        self.folder = (default_cache_folder() if folder is None else folder) / "tuned"
        self.most_bytes = most_bytes

    def key(
        self,
        encoder: Encoder,
        tuning: Tuning,
        training: Labelled,
        validation: Labelled | None,
        config: TrainingConfig,
    ) -> str:
        """A digest of everything that decides the tuned weights, to the last bit."""
        described = {
            "encoder": encoder.fingerprint,
            "tuning": to_mapping(tuning),
            "rows": [training.fingerprint, None if validation is None else validation.fingerprint],
            # Those of the head have no part in it.
            "config": to_mapping(replace(config, epochs=tuning.epochs)),
            # Sums are rounded by the number of threads.
            "made by": [__version__, torch.__version__, torch.get_num_threads(), encoder.device],
        }
        return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()

    def find(self, key: str, base: Encoder, tuning: Tuning, make: Callable[[], TunedEncoder]) -> TunedEncoder:
        """The encoder with what was kept under a key; else what `make` gives, whose change is kept."""
        change = self.read(key, tuning)
        if change is not None:
            return change_encoder(base, change)
        made = make()
        self.write(key, made.change)
        return made

    def read(self, key: str, tuning: Tuning) -> EncoderChange | None:
        """What was kept under a key."""
        path = self._path(key)
        try:
            tensors, record = load_tensors(path)
        except ModelFolderError:
            return None
        count, adapter, seconds = (record[name] for name in ("n_parameters", "adapter", "seconds"))
        return EncoderChange(tuning, tensors, count, adapter, seconds, is_kept=True)

    def write(self, key: str, change: EncoderChange) -> None:
        """Keeps a change; where the disk takes none, it is made again next time."""
        record = {
            "n_parameters": change.n_parameters,
            "adapter": change.adapter,
            "seconds": change.seconds,
        }
        with contextlib.suppress(OSError):
            save_tensors(self._path(key), change.tensors, record)
            self._make_room()

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.safetensors"

    def _make_room(self) -> None:
        files = [
            (path.stat().st_mtime, path.stat().st_size, path) for path in self.folder.glob("*.safetensors")
        ]
        held = sum(size for _, size, _ in files)
        for _, size, path in sorted(files)[:-1]:
            if held <= self.most_bytes:
                return
            path.unlink(missing_ok=True)
            held -= size
