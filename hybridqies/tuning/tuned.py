"""A tuned encoder: what tuning has changed, and the encoder with that change in its weights."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from hybridqies.options import to_mapping
from hybridqies.text import Encoder
from hybridqies.training.rows import digest_tensor
from hybridqies.tuning.spec import Tuning
from hybridqies.tuning.tunable import TunableEncoder


@dataclass(frozen=True)
class EncoderChange:
    """What tuning has made of an encoder: tensors by name, as `TunableEncoder.state` gives them.

    `adapter` is the configuration that peft loads an adapter by. `seconds` is the time that tuning took where
    that was before a head was trained, `is_kept` that it was at another time.
    """

    tuning: Tuning
    tensors: Mapping[str, Tensor] = field(repr=False)
    n_parameters: int
    adapter: Mapping[str, Any] | None = None
    seconds: float = 0.0
    is_kept: bool = False

    @property
    def digest(self) -> str:
        """SHA-256 over the tuning and every tensor."""
        digest = hashlib.sha256(self.tuning.key.encode())
        for name in sorted(self.tensors):
            digest.update(f"\0{name}\0{digest_tensor(self.tensors[name])}".encode())
        return digest.hexdigest()

    @classmethod
    def of(cls, encoder: TunableEncoder, seconds: float = 0.0) -> EncoderChange:
        """What training has made of it so far, copied."""
        tensors = {name: each.detach().cpu().clone() for name, each in encoder.state().items()}
        return cls(encoder.tuning, tensors, encoder.n_trained(), encoder.adapter_config(), seconds)

    def describe(self) -> dict[str, Any]:
        """What a run records of it, as JSON values."""
        return {
            **to_mapping(self.tuning),
            "n_parameters": self.n_parameters,
            "seconds": round(self.seconds, 3),
            "sha256": self.digest,
        }


class TunedEncoder(Encoder):
    """An encoder with a change in its weights; it embeds like any other, under a fingerprint of its own."""

    def __init__(self, base: Encoder, change: EncoderChange, model: Any) -> None:
        super().__init__(base.name, base.folder, base.device)
        self.base = base
        self.change = change
        self.fingerprint = hashlib.sha256(f"{base.fingerprint}\0{change.digest}".encode()).hexdigest()
        self._model = model

    @classmethod
    def of(cls, base: Encoder, tunable: TunableEncoder, seconds: float = 0.0) -> TunedEncoder:
        """What training has made of `tunable`, whose adapters are merged in place: it is used up."""
        change = EncoderChange.of(tunable, seconds)
        return cls(base, change, tunable.merge())


def base_of(encoder: Encoder) -> Encoder:
    """The encoder before tuning."""
    return encoder.base if isinstance(encoder, TunedEncoder) else encoder


def change_encoder(base: Encoder, change: EncoderChange) -> TunedEncoder:
    """The encoder with a change merged into its weights.

    Raises
    ------
    InputError: the change does not fit the encoder.
    MissingExtraError: it is an adapter, and peft is not installed.
    """
    tunable = TunableEncoder(base, change.tuning, 0)
    tunable.load(change.tensors)
    return TunedEncoder(base, change, tunable.merge())
