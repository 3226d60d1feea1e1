"""Language models from nothing: a decoder, entanglement layers, a complex stream, and their controls."""

from typing import TYPE_CHECKING

from hybridqies.lazily import import_lazily

if TYPE_CHECKING:
    from hybridqies.lm.arms import ARMS, Arm, config_of_arm
    from hybridqies.lm.config import Activation, DecoderConfig, Mixing
    from hybridqies.lm.costs import count_flops, count_parameters
    from hybridqies.lm.decoder import Cache, Decoder, DecoderOutput
    from hybridqies.lm.entanglement import map_entanglement, measure_entanglement
    from hybridqies.lm.generation import generate_ids
    from hybridqies.lm.insertion import insert_mixers, load_mixers, save_mixers
    from hybridqies.lm.mixers import MIXERS, Mixer
    from hybridqies.lm.sizes import config_of_size, read_size
    from hybridqies.lm.tokens import BytePairs, Characters, Tokens, make_tokens, read_tokens

__all__ = [
    "ARMS",
    "MIXERS",
    "Activation",
    "Arm",
    "BytePairs",
    "Cache",
    "Characters",
    "Decoder",
    "DecoderConfig",
    "DecoderOutput",
    "Mixer",
    "Mixing",
    "Tokens",
    "config_of_arm",
    "config_of_size",
    "count_flops",
    "count_parameters",
    "generate_ids",
    "insert_mixers",
    "load_mixers",
    "make_tokens",
    "map_entanglement",
    "measure_entanglement",
    "read_size",
    "read_tokens",
    "save_mixers",
]

__getattr__, __dir__ = import_lazily(
    __name__,
    __all__,
    (
        "config",
        "costs",
        "sizes",
        "arms",
        "tokens",
        "mixers",
        "decoder",
        "generation",
        "entanglement",
        "insertion",
    ),
)
