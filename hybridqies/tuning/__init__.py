"""Tuning: how the encoder is changed, together with a head or before it. A method is a row in `methods`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hybridqies.lazily import import_lazily

if TYPE_CHECKING:
    from hybridqies.tuning.methods import METHODS
    from hybridqies.tuning.phase import tune_encoder
    from hybridqies.tuning.spec import FROZEN, TuneBy, Tuning
    from hybridqies.tuning.text_model import TextModel, head_of
    from hybridqies.tuning.tuned import EncoderChange, TunedEncoder, base_of, change_encoder

__all__ = [
    "FROZEN",
    "METHODS",
    "EncoderChange",
    "TextModel",
    "TuneBy",
    "TunedEncoder",
    "Tuning",
    "base_of",
    "change_encoder",
    "head_of",
    "tune_encoder",
]

__getattr__, __dir__ = import_lazily(__name__, __all__, ("methods", "spec", "tuned", "text_model", "phase"))
